//! Order of resourceVersions.

/// Is `a` newer than `b`? Both of one resource. Since Kubernetes 1.35 resourceVersions of one
/// resource may be compared as whole numbers (KEP-5504); anything else isn't newer. An object whose
/// version isn't newer than one that was seen before is of an etcd that was set back.
pub fn newer(a: &str, b: &str) -> bool {
    match (a.parse::<u128>(), b.parse::<u128>()) {
        (Ok(a), Ok(b)) => a > b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(newer("10", "9"));
        assert!(!newer("9", "10"));
        assert!(!newer("9", "9"));
        assert!(!newer("x", "9"));
    }
}

//! Of many measurements, the one to tell.

/// The value that half of them don't exceed; 0 without any.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    percentile(values, 50)
}

/// The value that so many of a hundred don't exceed; 0 without any.
pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100);
    values
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values = vec![5.0, 1.0, 4.0, 2.0, 3.0];
        assert!((median(values.clone()) - 3.0).abs() < f64::EPSILON);
        assert!((percentile(values.clone(), 99) - 5.0).abs() < f64::EPSILON);
        assert!((percentile(values, 1) - 1.0).abs() < f64::EPSILON);
        assert!(median(Vec::new()).abs() < f64::EPSILON);
    }
}

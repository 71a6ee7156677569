//! Actions and paths, with `*`.

const STAR: &str = "*";

/// Does `above` stand for every verb that `below` stands for?
pub(super) fn action_covers(above: &str, below: &str) -> bool {
    above == STAR || above == below
}

/// Does `above` stand for every path that `below` stands for? Exact, as no pattern names all
/// segments there may be.
pub(super) fn path_covers(above: &str, below: &str) -> bool {
    let Some((literal, from_star)) = above.find('*').map(|at| above.split_at(at)) else {
        return above == below;
    };
    // Most paths that aren't covered differ here, so most comparisons end without a look at segments.
    let Some(rest) = below.strip_prefix(literal) else {
        return false;
    };
    if literal.is_empty() || literal.ends_with('/') {
        segments_cover(from_star, rest)
    } else {
        segments_cover(above, below)
    }
}

fn segments_cover(above: &str, below: &str) -> bool {
    let mut above = above.split('/').peekable();
    let mut below = below.split('/');
    loop {
        match (above.next(), below.next()) {
            (None, None) => return true,
            (Some(STAR), Some(_)) if above.peek().is_none() => return true,
            // A last `*` below stands for more than this one segment, but then `below` ends here and
            // `above` doesn't.
            (Some(STAR), Some(_)) => {}
            (Some(upper), Some(lower)) if upper == lower => {}
            _ => return false,
        }
    }
}

/// Stands for the verbs that both stand for, if there are any.
pub(super) fn common_action(one: &str, other: &str) -> Option<String> {
    if action_covers(one, other) {
        Some(other.to_owned())
    } else {
        action_covers(other, one).then(|| one.to_owned())
    }
}

/// Stands for the paths that both stand for, if there are any. One pattern always can: the segments
/// in common, and in place of a last `*` what the other has there and after.
pub(super) fn common_path(one: &str, other: &str) -> Option<String> {
    let mut common = Vec::new();
    let mut one = one.split('/').peekable();
    let mut other = other.split('/').peekable();
    loop {
        match (one.next(), other.next()) {
            (None, None) => return Some(common.join("/")),
            (Some(STAR), Some(segment)) if one.peek().is_none() => {
                common.push(segment);
                common.extend(other.by_ref());
            }
            (Some(segment), Some(STAR)) if other.peek().is_none() => {
                common.push(segment);
                common.extend(one.by_ref());
            }
            (Some(STAR), Some(segment)) | (Some(segment), Some(STAR)) => common.push(segment),
            (Some(left), Some(right)) if left == right => common.push(left),
            _ => return None,
        }
    }
}

/// May a decision be asked for it? Not with a `*`, which would ask for many things at once, nor with
/// a segment that others drop or resolve to a place outside of what covers it.
pub(super) fn is_concrete(action: &str, path: &str) -> bool {
    let odd = |segment: &str| matches!(segment, STAR | "" | "." | "..");
    !action.is_empty() && action != STAR && !path.split('/').any(odd)
}

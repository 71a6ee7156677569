//! What to do next: decided from what is known, and nothing else.

use std::time::Duration;

use tokio::time::Instant;

/// Somebody will wake us.
const LONG: Duration = Duration::from_secs(3600);

/// What is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Situation {
    /// The identity is suspended or over.
    pub(crate) over: bool,
    /// That was told to those who are served, and there is nothing in hand.
    pub(crate) closed: bool,
    /// The endpoint said that there is nothing to be had yet.
    pub(crate) wait: bool,
    /// When the certificate in hand is to be renewed, and when it ends.
    pub(crate) held: Option<(Instant, Instant)>,
    /// A new one is wanted from then on.
    pub(crate) reissue: Option<Instant>,
    /// After a failure: not before.
    pub(crate) retry: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Serve nothing any more.
    Close,
    /// The certificate in hand is over.
    Expire,
    /// Ask for one.
    Fetch,
    /// Until then, or until something is told.
    Sleep(Instant),
}

pub(crate) fn next(known: &Situation, now: Instant) -> Next {
    if known.over {
        return if known.closed {
            Next::Sleep(now + LONG)
        } else {
            Next::Close
        };
    }
    let retry = known.retry.filter(|it| now < *it);
    let Some((renew, end)) = known.held else {
        return match retry {
            Some(retry) => Next::Sleep(retry),
            None if known.wait => Next::Sleep(now + LONG),
            None => Next::Fetch,
        };
    };
    if end <= now {
        return Next::Expire;
    }
    let due = known.reissue.map_or(renew, |it| it.min(renew));
    let then = retry.map_or(due, |it| it.max(due));
    if then <= now {
        Next::Fetch
    } else {
        Next::Sleep(then.min(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn what_is_next_follows_from_what_is_known() {
        // Far from the clock's zero, so that there is a past.
        let now = Instant::now() + seconds(100_000);
        let held = Some((now + seconds(60), now + seconds(120)));
        let late = Some((now - seconds(1), now + seconds(59)));
        let dead = Some((now - seconds(60), now));
        let none = Situation::default();
        let table = [
            ("at the start", none, Next::Fetch),
            (
                "after a failure",
                Situation {
                    retry: Some(now + seconds(3)),
                    ..none
                },
                Next::Sleep(now + seconds(3)),
            ),
            (
                "no identity yet",
                Situation { wait: true, ..none },
                Next::Sleep(now + LONG),
            ),
            (
                "in hand",
                Situation { held, ..none },
                Next::Sleep(now + seconds(60)),
            ),
            ("due", Situation { held: late, ..none }, Next::Fetch),
            (
                "due, and it failed",
                Situation {
                    held: late,
                    retry: Some(now + seconds(30)),
                    ..none
                },
                Next::Sleep(now + seconds(30)),
            ),
            (
                "due, and it failed, and the end is nearer",
                Situation {
                    held: late,
                    retry: Some(now + seconds(300)),
                    ..none
                },
                Next::Sleep(now + seconds(59)),
            ),
            (
                "a new one is wanted",
                Situation {
                    held,
                    reissue: Some(now),
                    ..none
                },
                Next::Fetch,
            ),
            (
                "not at once",
                Situation {
                    held,
                    reissue: Some(now + seconds(1)),
                    ..none
                },
                Next::Sleep(now + seconds(1)),
            ),
            (
                "not ready, but in hand and due",
                Situation {
                    held: late,
                    wait: true,
                    ..none
                },
                Next::Fetch,
            ),
            ("its end", Situation { held: dead, ..none }, Next::Expire),
            (
                "suspended",
                Situation {
                    held,
                    over: true,
                    ..none
                },
                Next::Close,
            ),
            (
                "suspended, before there was one",
                Situation { over: true, ..none },
                Next::Close,
            ),
            (
                "suspended, and told",
                Situation {
                    over: true,
                    closed: true,
                    ..none
                },
                Next::Sleep(now + LONG),
            ),
        ];
        for (name, known, expected) in table {
            assert_eq!(next(&known, now), expected, "{name}");
        }
    }
}

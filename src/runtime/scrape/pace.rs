//! How often the API server may be asked.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// From one look to the next: whoever shows made-up tokens has the API server asked 40 times a second and
/// no more. A scraper that is alone never waits.
const APART: Duration = Duration::from_millis(25);
/// Scrapers give up after 10 s; who would wait for so long is refused at once.
const LONGEST: Duration = Duration::from_secs(2);

/// Gives turns, evenly apart.
#[derive(Debug)]
pub(super) struct Pace {
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for one's turn; `false` if it is too far away. A turn that nobody waits for any more is
    /// gone all the same, so that hanging up and coming again brings no more of them.
    pub(super) async fn turn(&self) -> bool {
        let now = Instant::now();
        let turn = {
            let mut next = self.next.lock();
            let turn = now.max(*next);
            if turn.duration_since(now) > LONGEST {
                return false;
            }
            *next = turn + APART;
            turn
        };
        sleep_until(turn).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_evenly_apart_and_none_is_far_away() {
        let pace = Pace::new();
        let start = Instant::now();
        assert!(pace.turn().await);
        assert_eq!(
            start.elapsed(),
            Duration::ZERO,
            "the first waits for nobody"
        );
        let many = join_all((0..1000).map(|_| pace.turn())).await;
        let had = many.iter().filter(|it| **it).count();
        assert_eq!(had, 80, "one each 25 ms, for 2 s");
        assert_eq!(start.elapsed(), LONGEST);
        sleep_until(start + LONGEST + APART).await;
        let now = Instant::now();
        assert!(pace.turn().await);
        assert_eq!(
            now.elapsed(),
            Duration::ZERO,
            "what is over holds nobody up"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_hangs_up_gets_no_further_turn_by_it() {
        let pace = Pace::new();
        for _ in 0..1000 {
            drop(tokio::time::timeout(Duration::ZERO, pace.turn()).await);
        }
        assert!(!pace.turn().await);
    }
}

//! How long answers took, how much memory is taken, and how it is shown.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::cast::Cast;

/// A bucket is an eighth of a power of two wide: 9 % of what is in it.
const PARTS: u64 = 8;
const BUCKETS: usize = 40 * 8;
/// Progress is told so often.
const TELL: Duration = Duration::from_secs(30);
/// One part of so many, the first, isn't looked at: caches fill.
const WARM_UP: usize = 6;

/// How long things took, in buckets: as much for hours as for minutes.
pub(super) struct Times(Vec<AtomicU64>);

impl Default for Times {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Times {
    pub(super) fn took(&self, it: Duration) {
        let micros = u64::try_from(it.as_micros()).unwrap().max(PARTS);
        let power = u64::from(micros.ilog2());
        let part = (micros >> (power - 3)) - PARTS;
        let bucket = usize::try_from((power - 3) * PARTS + part).unwrap();
        self.0[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|it| it.load(Ordering::Relaxed)).sum()
    }

    /// The least time that so many in a hundred didn't take longer than.
    pub(super) fn percentile(&self, percent: u64) -> Duration {
        let wanted = self.count() * percent / 100;
        let mut below = 0;
        for (bucket, count) in (0_u64..).zip(&self.0) {
            below += count.load(Ordering::Relaxed);
            if below > wanted {
                let (power, part) = (bucket / PARTS + 3, bucket % PARTS);
                return Duration::from_micros((PARTS + part + 1) << (power - 3));
            }
        }
        Duration::ZERO
    }
}

/// A process whose memory is looked at.
pub(super) struct Watched {
    pub(super) name: &'static str,
    pub(super) pid: u32,
    /// May it not grow?
    pub(super) bounded: bool,
}

/// Resident memory at one time, in kiB.
#[derive(Debug, Clone, Copy)]
struct Resident {
    /// All.
    whole: u64,
    /// What isn't a page of a file: the kernel takes those away and brings them back as it likes.
    anonymous: u64,
}

/// Resident memory over time, one look a second.
pub(super) struct Memory {
    watched: Vec<Watched>,
    looks: Mutex<Vec<Vec<Resident>>>,
    started: Instant,
}

impl Memory {
    pub(super) fn of(watched: Vec<Watched>) -> Self {
        Self {
            watched,
            looks: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// Looks until the end, and tells how far it is.
    pub(super) async fn watch(&self, cast: &Cast) {
        let mut told = Instant::now();
        while !cast.is_over() {
            let look = self.watched.iter().map(|it| resident(it.pid)).collect();
            self.looks.lock().unwrap().push(look);
            if told.elapsed() >= TELL {
                told = Instant::now();
                eprintln!("soak: {}", self.progress(cast));
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn progress(&self, cast: &Cast) -> String {
        let seconds = self.started.elapsed().as_secs();
        let count = cast.authzen.count() + cast.through_envoy.count();
        let rate = count / seconds.max(1);
        let mut line = format!("{seconds} s, {count} requests, {rate} a second");
        for what in ["allowed", "allowed, recorded first", "NotRecorded", "wrong"] {
            write!(line, ", {what}: {}", cast.counts.of(what)).unwrap();
        }
        let looks = self.looks.lock().unwrap();
        for (it, now) in self.watched.iter().zip(looks.last().unwrap()) {
            write!(line, ", {} {}", it.name, mib(now.whole)).unwrap();
        }
        line
    }

    /// Ten rows of what is resident.
    pub(super) fn table(&self) -> String {
        let looks = self.looks.lock().unwrap();
        let mut table = format!("{:>8}", "seconds");
        for it in &self.watched {
            write!(table, "{:>22}", it.name).unwrap();
        }
        table.push_str("   resident (anonymous)\n");
        let every = looks.len().div_ceil(10).max(1);
        for (second, look) in looks.iter().enumerate().step_by(every) {
            write!(table, "{second:>8}").unwrap();
            for it in look {
                let cell = format!("{} ({})", mib(it.whole), mib(it.anonymous));
                write!(table, "{cell:>22}").unwrap();
            }
            table.push('\n');
        }
        table
    }

    /// What has grown from the second third to the last, but for the beginning: by more than a tenth
    /// and 8 MiB.
    pub(super) fn grown(&self) -> Vec<String> {
        let looks = self.looks.lock().unwrap();
        let warm = &looks[looks.len() / WARM_UP..];
        let third = warm.len() / 3;
        let mut grown = Vec::new();
        for (place, it) in self.watched.iter().enumerate() {
            let median = |part: &[Vec<Resident>]| {
                let mut all: Vec<u64> = part.iter().map(|it| it[place].anonymous).collect();
                all.sort_unstable();
                all[all.len() / 2]
            };
            let (before, after) = (median(&warm[third..2 * third]), median(&warm[2 * third..]));
            let line = format!("{}: {} then {}", it.name, mib(before), mib(after));
            eprintln!("soak: memory of the second third and of the last, {line}");
            if it.bounded && after > before + before / 10 + 8 * 1024 {
                grown.push(line);
            }
        }
        grown
    }
}

fn resident(pid: u32) -> Resident {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = |name: &str| {
        let mut lines = status.lines();
        let line = lines.find_map(|it| it.strip_prefix(name)).unwrap();
        let number = line.trim().trim_end_matches(" kB");
        number.parse().unwrap()
    };
    Resident {
        whole: value("VmRSS:"),
        anonymous: value("RssAnon:"),
    }
}

fn mib(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
}

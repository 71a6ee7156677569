//! What the proxy decides about each request. No input or output here.

use http::{Method, Uri};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Whether the request at which the proxy cuts still reaches the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deliver {
    /// It does and is answered, but the answer is lost: the client can't know.
    Yes,
    /// It doesn't.
    No,
}

/// A request that the proxy has seen, refused ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Compares with `"PATCH"`.
    pub method: Method,
    /// Without the query.
    pub path: String,
    /// The query, empty if there is none.
    pub query: String,
}

/// What to do with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Forward,
    /// Forward, then cut instead of answering.
    ForwardThenCut,
    /// Cut at once.
    Cut,
    /// Close the connection.
    Refuse,
}

/// Shared by the proxy's connections and by the test that drives it.
#[derive(Debug)]
pub(crate) struct State {
    /// A mutating request whose path has one of these in it isn't counted.
    uncounted: Vec<String>,
    counts: Mutex<Counts>,
    /// True while everything is refused.
    pub(crate) cut: watch::Sender<bool>,
    /// True while watches are silent.
    pub(crate) held: watch::Sender<bool>,
    /// True while counted requests wait.
    pub(crate) delayed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Counts {
    seen: Vec<Seen>,
    mutations: usize,
    /// How many more counted requests until the cut.
    plan: Option<(usize, Deliver)>,
    /// The request of the plan has come; nothing after it may pass.
    refusing: bool,
}

impl Seen {
    /// Whether it asks for a change: anything but GET, HEAD and OPTIONS.
    pub fn is_mutation(&self) -> bool {
        !self.method.is_safe()
    }

    /// Whether it is a watch.
    pub fn is_watch(&self) -> bool {
        let mut parts = self.query.split('&');
        parts.any(|part| matches!(part, "watch=true" | "watch=1"))
    }

    pub(crate) fn new(method: &Method, uri: &Uri) -> Self {
        Self {
            method: method.clone(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        }
    }
}

impl State {
    pub(crate) fn new(uncounted: Vec<String>) -> Self {
        Self {
            uncounted,
            counts: Mutex::default(),
            cut: watch::Sender::new(false),
            held: watch::Sender::new(false),
            delayed: watch::Sender::new(false),
        }
    }

    /// Whether it is a change that counts.
    pub(crate) fn counts(&self, seen: &Seen) -> bool {
        seen.is_mutation() && !self.uncounted.iter().any(|part| seen.path.contains(part))
    }

    /// Records the request and decides about it.
    pub(crate) fn judge(&self, seen: Seen) -> Verdict {
        let counted = self.counts(&seen);
        let mut counts = self.counts.lock();
        counts.seen.push(seen);
        if counts.refusing {
            return Verdict::Refuse;
        }
        if !counted {
            return Verdict::Forward;
        }
        counts.mutations += 1;
        match counts.plan.take() {
            None => Verdict::Forward,
            Some((left, deliver)) if left > 1 => {
                counts.plan = Some((left - 1, deliver));
                Verdict::Forward
            }
            Some((_, deliver)) => {
                counts.refusing = true;
                match deliver {
                    Deliver::Yes => Verdict::ForwardThenCut,
                    Deliver::No => Verdict::Cut,
                }
            }
        }
    }

    pub(crate) fn plan(&self, after: usize, deliver: Deliver) {
        self.counts.lock().plan = Some((after, deliver));
    }

    pub(crate) fn cut(&self) {
        let mut counts = self.counts.lock();
        counts.refusing = true;
        counts.plan = None;
        self.cut.send_replace(true);
    }

    pub(crate) fn heal(&self) {
        let mut counts = self.counts.lock();
        counts.refusing = false;
        counts.plan = None;
        self.cut.send_replace(false);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.counts.lock().seen.clone()
    }

    pub(crate) fn forget(&self) {
        self.counts.lock().seen.clear();
    }

    pub(crate) fn mutations(&self) -> usize {
        self.counts.lock().mutations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(method: Method, path: &str) -> Seen {
        Seen {
            method,
            path: path.to_owned(),
            query: String::new(),
        }
    }

    #[test]
    fn only_counted_mutations_bring_the_cut_nearer() {
        let state = State::new(vec!["/leases".to_owned()]);
        state.plan(2, Deliver::Yes);
        assert_eq!(state.judge(seen(Method::POST, "/a")), Verdict::Forward);
        assert_eq!(state.judge(seen(Method::GET, "/a")), Verdict::Forward);
        assert_eq!(
            state.judge(seen(Method::PUT, "/leases/x")),
            Verdict::Forward
        );
        assert_eq!(
            state.judge(seen(Method::PATCH, "/a")),
            Verdict::ForwardThenCut
        );
        assert_eq!(state.judge(seen(Method::GET, "/a")), Verdict::Refuse);
        assert_eq!(state.mutations(), 2);
        state.heal();
        assert_eq!(state.judge(seen(Method::DELETE, "/a")), Verdict::Forward);
    }

    #[test]
    fn a_watch_is_told_by_its_query() {
        let watch = |query: &str| Seen {
            query: query.to_owned(),
            ..seen(Method::GET, "/")
        };
        assert!(watch("a=b&watch=true").is_watch());
        assert!(watch("watch=1").is_watch());
        assert!(!watch("watch=false").is_watch());
        assert!(!watch("").is_watch());
    }
}

//! Whether the open watches get anything.
//!
//! A watch of a quiet kind is as silent as a broken one, but for the bookmarks that the API server
//! sends about once a minute, and those don't come through to whoever reads the watch. So this
//! looks at the bytes.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::client::{Body, DynBody};
use parking_lot::Mutex;
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

/// The last progress of each open watch of the clients that it is a layer of. Cheap to clone;
/// clones share.
///
/// A watch is open from its request until its body is dropped. Between two watches there is
/// nothing to be seen: that the API server is down makes nothing stale, as no restart of ours would
/// mend it. But one that was dropped before its end, because it hung, counts on in the next.
#[derive(Debug, Clone, Default)]
pub struct WatchProgress {
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    watches: HashMap<u64, Watch>,
    next: u64,
    /// Those that their readers gave up: the next of the kind goes on from there.
    given_up: HashMap<Kind, GivenUp>,
}

#[derive(Debug)]
struct Watch {
    kind: Kind,
    last: Instant,
    /// The API server has ended it, or an error has: no silence.
    ended: bool,
}

/// What is watched: the path, and the query without the version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    path: String,
    selector: String,
}

#[derive(Debug)]
struct GivenUp {
    at: Instant,
    /// The last progress before.
    last: Instant,
}

/// One open watch; closed by drop.
struct Ticket {
    progress: WatchProgress,
    number: u64,
}

/// A watch that is opened so soon after one was given up goes on with its silence: longer than any
/// backoff and the listing after it.
const SAME: Duration = Duration::from_secs(90);

/// What [`WatchProgress`] makes of a client's service.
#[derive(Debug)]
pub struct Observed<S> {
    inner: S,
    progress: WatchProgress,
}

impl WatchProgress {
    /// Nothing open yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The open watch that has been silent longest: its path, and for how long.
    pub fn stalest(&self) -> Option<(String, Duration)> {
        let open = self.open.lock();
        let stalest = open.watches.values().min_by_key(|watch| watch.last)?;
        let silent = Instant::now().saturating_duration_since(stalest.last);
        Some((stalest.kind.path.clone(), silent))
    }

    /// Whether no open watch has been silent for longer than `bound`. With bookmarks each minute
    /// and watches that end after a minute, 150 s mean that something hangs.
    pub fn is_healthy(&self, bound: Duration) -> bool {
        self.stalest().is_none_or(|(_, silent)| silent <= bound)
    }

    fn opened(&self, kind: Kind) -> Ticket {
        let now = Instant::now();
        let mut open = self.open.lock();
        let number = open.next;
        open.next += 1;
        open.given_up.retain(|_, it| now < it.at + SAME);
        let watch = Watch {
            last: open.given_up.remove(&kind).map_or(now, |it| it.last),
            kind,
            ended: false,
        };
        open.watches.insert(number, watch);
        Ticket {
            progress: self.clone(),
            number,
        }
    }
}

impl Ticket {
    fn moved(&self) {
        if let Some(watch) = self.progress.open.lock().watches.get_mut(&self.number) {
            watch.last = Instant::now();
        }
    }

    fn ended(&self) {
        if let Some(watch) = self.progress.open.lock().watches.get_mut(&self.number) {
            watch.ended = true;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.progress.open.lock();
        let Some(watch) = open.watches.remove(&self.number) else {
            return;
        };
        if !watch.ended {
            let given_up = GivenUp {
                at: Instant::now(),
                last: watch.last,
            };
            open.given_up.insert(watch.kind, given_up);
        }
    }
}

impl Kind {
    fn of<B>(request: &Request<B>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let parts = query.split('&');
        let selector = parts.filter(|part| part.contains("Selector="));
        Self {
            path: request.uri().path().to_owned(),
            selector: selector.collect::<Vec<_>>().join("&"),
        }
    }
}

impl<S> Layer<S> for WatchProgress {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            progress: self.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for Observed<S>
where
    S: Service<Request<Body>, Response = Response<Box<DynBody>>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Box<DynBody>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let ticket = is_watch(&request).then(|| self.progress.opened(Kind::of(&request)));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let Some(ticket) = ticket else {
                return answer.await;
            };
            let answer = answer.await.inspect_err(|_| ticket.ended())?;
            // That it is answered is no progress: a proxy may do that on its own.
            let ticket = Arc::new(ticket);
            let (moving, failing) = (Arc::clone(&ticket), Arc::clone(&ticket));
            Ok(answer.map(|body| {
                let body = body
                    .inspect_frame(move |_| moving.moved())
                    .inspect_err(move |_| failing.ended())
                    .with_trailers(Box::pin(async move {
                        ticket.ended(); // what was polled after all data
                        None
                    }));
                Box::new(body) as Box<DynBody>
            }))
        })
    }
}

/// Whether the answer to this request goes on until someone ends it.
pub(crate) fn is_watch<B>(request: &Request<B>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .any(|part| matches!(part, "watch=true" | "watch=1" | "watch"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &str) -> Kind {
        Kind::of(&Request::get(path).body(()).unwrap())
    }

    #[test]
    fn watches_are_told_by_their_query() {
        let asks = |uri: &str| is_watch(&Request::get(uri).body(()).unwrap());
        assert!(asks("/api/v1/pods?&watch=true&resourceVersion=1"));
        assert!(asks("/api/v1/pods?watch=1"));
        assert!(!asks("/api/v1/pods?watch=false"));
        assert!(!asks("/api/v1/namespaces/watch=true/pods"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_stalest_watch_counts_while_it_is_open() {
        let progress = WatchProgress::new();
        let bound = Duration::from_secs(150);
        assert_eq!(progress.stalest(), None);
        let quiet = progress.opened(kind("/quiet"));
        let lively = progress.opened(kind("/lively"));
        for _ in 0..16 {
            tokio::time::advance(Duration::from_secs(10)).await;
            lively.moved();
        }
        let silent = Duration::from_secs(160);
        assert_eq!(progress.stalest(), Some(("/quiet".to_owned(), silent)));
        assert!(!progress.is_healthy(bound));
        drop(quiet);
        assert!(progress.is_healthy(bound));
        drop(lively);
        assert_eq!(progress.stalest(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_given_up_counts_on_in_the_next_unless_it_had_ended() {
        let progress = WatchProgress::new();
        let minute = Duration::from_secs(60);
        let silence = || progress.stalest().unwrap().1;
        for n in 1..4 {
            let hung = progress.opened(kind("/hangs"));
            tokio::time::advance(minute).await;
            assert_eq!(silence(), n * minute);
            drop(hung);
        }
        let other = progress.opened(kind("/other"));
        assert_eq!(silence(), Duration::ZERO);
        let again = progress.opened(kind("/hangs"));
        assert_eq!(silence(), 3 * minute);
        again.ended();
        drop((again, other));
        let _again = progress.opened(kind("/hangs"));
        assert_eq!(silence(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_comes_long_after_begins_anew() {
        let progress = WatchProgress::new();
        drop(progress.opened(kind("/hangs")));
        tokio::time::advance(SAME).await;
        let _new = progress.opened(kind("/hangs"));
        assert_eq!(progress.stalest().unwrap().1, Duration::ZERO);
    }
}

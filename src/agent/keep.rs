//! Keeps a certificate in hand: the one place that changes the [`View`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use countersign_authority::PrivateKey;
use countersign_issuing::IssueX509Response;
use countersign_runtime::Clock;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::call::{self, Endpoint};
use crate::held::Held;
use crate::metrics::{self, Metrics};
use crate::plan::{Next, Situation, next};
use crate::roots::Roots;
use crate::told::{Said, Told};
use crate::trust::Trust;
use crate::view::{Standing, View, Why};

/// A rotation wakes all sidecars in one moment: they ask within so long.
const SPREAD: Duration = Duration::from_secs(2);

/// Words of the endpoint's that count as labels; whatever else it says is `Other`.
const REASONS: [&str; 20] = [
    "BadToken",
    "ExpiredToken",
    "WrongAudience",
    "UnknownKey",
    "UnboundToken",
    "UnknownPod",
    "NoIdentity",
    "SeveralIdentities",
    "TaskOver",
    "IdentitySuspended",
    "IdentityEnded",
    "NotReady",
    "BadRequest",
    "Stale",
    "AuditUnavailable",
    "NoAuthority",
    "Overloaded",
    "Unavailable",
    "DeadlineExceeded",
    "BadAnswer",
];

pub(crate) struct Keeper {
    endpoint: Endpoint,
    roots: Arc<Roots>,
    told: watch::Receiver<Told>,
    views: watch::Sender<Arc<View>>,
    clock: Clock,
    metrics: Metrics,
    view: View,
    backoff: Backoff,
    retry: Option<Instant>,
    reissue: Option<Instant>,
    heard: Told,
}

impl Keeper {
    pub(crate) fn new(
        endpoint: Endpoint,
        roots: Arc<Roots>,
        told: watch::Receiver<Told>,
        views: watch::Sender<Arc<View>>,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self {
            endpoint,
            roots,
            told,
            views,
            clock,
            metrics,
            view: View::default(),
            backoff: Backoff::default(),
            retry: None,
            reissue: None,
            heard: Told::default(),
        }
    }

    /// For ever.
    pub(crate) async fn run(mut self) -> Infallible {
        loop {
            self.hear();
            match next(&self.situation(), Instant::now()) {
                Next::Close => self.close(),
                Next::Expire => {
                    warn!("the certificate is over and there is no other");
                    let why =
                        Why::new("Expired", "the certificate is over, and none was had since");
                    self.without(Standing::Waiting(why));
                }
                Next::Fetch => self.fetch().await,
                Next::Sleep(until) => {
                    tokio::select! {
                        () = sleep_until(until) => {}
                        changed = self.told.changed() => if changed.is_err() {
                            sleep_until(until).await; // nobody tells anything any more
                        }
                    }
                }
            }
        }
    }

    fn situation(&self) -> Situation {
        let closed = matches!(self.view.standing, Standing::Closed(_));
        Situation {
            over: self.heard.is_over() || self.is_gone(),
            closed: closed && self.view.held.is_none(),
            wait: matches!(self.heard.said, Said::Waiting(_)),
            held: self.view.held.as_ref().map(|it| (it.renew, it.end)),
            reissue: self.reissue,
            retry: self.retry,
        }
    }

    /// There was an identity, and there is none any more.
    fn is_gone(&self) -> bool {
        let nobody = matches!(&self.heard.said, Said::Waiting(why) if why.reason == "NoIdentity");
        nobody && self.view.held.is_some()
    }

    /// Takes in what was told since.
    fn hear(&mut self) {
        let told = self.told.borrow_and_update().clone();
        let trust = |it: &Told| it.trust.as_ref().map(Arc::as_ptr);
        if let (Some(new), true) = (&told.trust, trust(&told) != trust(&self.heard)) {
            self.trust(Arc::clone(new));
        }
        if told.reissues != self.heard.reissues && self.view.held.is_some() {
            info!("a new certificate is wanted");
            self.ask_soon();
        }
        if told.said != self.heard.said {
            match &told.said {
                // Whatever failed before: there is something to be had now.
                Said::Active => {
                    self.retry = None;
                    self.backoff.reset();
                }
                Said::Waiting(why) if self.view.held.is_none() => {
                    self.without(Standing::Waiting(why.clone()));
                }
                Said::Waiting(_) | Said::Over(_) | Said::Nothing => {}
            }
        }
        self.heard = told;
    }

    fn trust(&mut self, new: Arc<Trust>) {
        self.roots.give(&new);
        let held = self.view.held.as_ref();
        if held.is_some_and(|it| !it.is_trusted(&new.bundle, self.clock.now())) {
            warn!("the certificate in hand is of an authority that is trusted no more");
            self.ask_soon();
        }
        let known = self.view.trust.as_deref();
        let new = Trust::clone(&new).after(known);
        // An answer may have said it already: nobody is told twice.
        if known != Some(&new) {
            self.view.trust = Some(Arc::new(new));
            self.publish();
        }
    }

    fn ask_soon(&mut self) {
        let soon = Instant::now() + SPREAD.mul_f64(rand::random_range(0.0..1.0));
        self.reissue = Some(self.reissue.map_or(soon, |it| it.min(soon)));
    }

    fn close(&mut self) {
        let why = match &self.heard.said {
            Said::Over(why) | Said::Waiting(why) => why.clone(),
            Said::Nothing | Said::Active => Why::new("IdentityEnded", "the identity is over"),
        };
        self.without(Standing::Closed(why));
    }

    /// Nothing is in hand from now on.
    fn without(&mut self, standing: Standing) {
        self.view.held = None;
        self.view.standing = standing;
        self.reissue = None;
        self.metrics.not_after.set(0);
        self.publish();
    }

    /// Asks, unless it is told in the meantime that it is over.
    async fn fetch(&mut self) {
        let (key, request) = match self.request() {
            Ok(made) => made,
            Err(why) => return self.failed(Why::new("BadAnswer", why)),
        };
        let mut told = self.told.clone();
        let endpoint = self.endpoint.clone();
        let answer = tokio::select! {
            answer = endpoint.issue_x509(request) => answer,
            Ok(_) = told.wait_for(Told::is_over) => return,
        };
        match answer {
            Ok(issued) => match self.take(issued, key) {
                Ok(()) => {}
                Err(why) => self.failed(Why::new("BadAnswer", why)),
            },
            Err(status) => self.refused(&status),
        }
    }

    /// A new key for each certificate: none lives longer than that.
    fn request(&self) -> Result<(PrivateKey, Vec<u8>), String> {
        let key = PrivateKey::generate(self.heard.key_algorithm).map_err(|why| why.to_string())?;
        let request = key.certificate_request().map_err(|why| why.to_string())?;
        Ok((key, request))
    }

    fn take(&mut self, mut issued: IssueX509Response, key: PrivateKey) -> Result<(), String> {
        let trust = issued.trust.take().ok_or("it came without trust")?;
        let trust = Trust::read(trust, &self.endpoint.trust_domain)?;
        let (now, instant) = (self.clock.now(), Instant::now());
        let held = Held::read(issued, key, &trust, now, instant)?;
        if let Some(off) = held.clock_off {
            warn!(
                seconds = off.as_secs(),
                "this machine's clock is off: ahead, or behind if negative"
            );
        }
        let off = held.clock_off.map_or(0, |it| it.as_secs());
        self.metrics.clock_off.set(off);
        self.metrics.not_after.set(held.not_after.as_second());
        self.metrics.issued.inc();
        info!(
            spiffe_id = held.spiffe_id,
            serial_number = held.serial_number,
            not_after = %held.not_after,
            renew_in_seconds = held.renew.duration_since(instant).as_secs(),
            "a certificate"
        );
        // What Watch says comes in its order; an answer may be of another replica.
        let known = self.view.trust.as_deref();
        let trust = trust.after(known);
        if known.is_none_or(|it| it.sequence <= trust.sequence && *it != trust) {
            let trust = Arc::new(trust);
            self.roots.give(&trust);
            self.view.trust = Some(trust);
        }
        self.view.held = Some(Arc::new(held));
        self.view.standing = Standing::Active;
        self.retry = None;
        self.reissue = None;
        self.backoff.reset();
        self.publish();
        Ok(())
    }

    fn refused(&mut self, status: &Status) {
        let why = call::why(status);
        if call::is_over(status) {
            self.without(Standing::Closed(why.clone()));
        }
        self.failed(why);
    }

    fn failed(&mut self, why: Why) {
        let now = Instant::now();
        let wait = match &self.view.held {
            Some(held) => self
                .backoff
                .next_within(held.end.saturating_duration_since(now)),
            None => self.backoff.next(),
        };
        self.retry = Some(now + wait);
        let known = REASONS.iter().find(|it| **it == why.reason);
        let reason = (*known.unwrap_or(&"Other")).to_owned();
        let by = metrics::Why { reason };
        self.metrics.not_issued.get_or_create(&by).inc();
        warn!(
            reason = why.reason,
            again_in_ms = wait.as_millis(),
            "no certificate: {}",
            why.message
        );
        let closed = matches!(self.view.standing, Standing::Closed(_));
        if self.view.held.is_none() && !closed {
            self.without(Standing::Waiting(why));
        }
    }

    fn publish(&self) {
        self.views.send_replace(Arc::new(self.view.clone()));
    }
}

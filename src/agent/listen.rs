//! Keeps a Watch on the identity, and writes down what it says.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::call::{self, Endpoint};
use crate::metrics::Metrics;
use crate::told::{Said, Told};
use crate::view::Why;

/// There is a heartbeat every 10 s: after three that are missing, nobody is there.
const SILENCE: Duration = Duration::from_secs(35);

/// For ever.
pub(crate) async fn listen(
    endpoint: Endpoint,
    told: watch::Sender<Told>,
    metrics: Metrics,
) -> Infallible {
    let mut backoff = Backoff::default();
    loop {
        let begin = Instant::now();
        let ended = stream(&endpoint, &told, &metrics).await;
        metrics.watching.set(0);
        match &ended {
            Ok(()) => debug!("the watch ended"),
            Err(status) => {
                let why = call::why(status);
                warn!(reason = why.reason, "the watch broke: {}", why.message);
                refused(&told, status);
                endpoint.judge(status);
            }
        }
        // One that ended at once is as good as none.
        if begin.elapsed() > SILENCE {
            backoff.reset();
        }
        sleep(backoff.next()).await;
    }
}

/// A refusal that says where the identity stands is as good as a message.
fn refused(told: &watch::Sender<Told>, status: &Status) {
    let why = call::why(status);
    let said = if call::is_over(status) {
        Said::Over(why)
    } else if status.code() == Code::PermissionDenied && why.reason == "NoIdentity" {
        Said::Waiting(why)
    } else {
        return;
    };
    told.send_if_modified(|told| {
        let differs = told.said != said;
        told.said = said;
        differs
    });
}

async fn stream(
    endpoint: &Endpoint,
    told: &watch::Sender<Told>,
    metrics: &Metrics,
) -> Result<(), Status> {
    let mut messages = endpoint.watch().await?;
    info!("watching the identity");
    loop {
        let late = |_| Status::deadline_exceeded("no heartbeat");
        let message = timeout(SILENCE, messages.message()).await.map_err(late)??;
        let Some(message) = message else {
            return Ok(());
        };
        metrics.watching.set(1);
        told.send_if_modified(|told| {
            let before = told.clone();
            if let Err(why) = told.hear(message, &endpoint.trust_domain) {
                warn!("the trust that was told can't be used: {why}");
            }
            if told.said != before.said {
                tell(&told.said);
            }
            told.differs(&before)
        });
    }
}

fn tell(said: &Said) {
    let it = |why: &Why| (why.reason.clone(), why.message.clone());
    match said {
        Said::Nothing => {}
        Said::Active => info!("certificates may be had"),
        Said::Waiting(why) => {
            let (reason, message) = it(why);
            info!(reason, "there is no certificate to be had yet: {message}");
        }
        Said::Over(why) => {
            let (reason, message) = it(why);
            warn!(reason, "the identity counts no more: {message}");
        }
    }
}

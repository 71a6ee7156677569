//! A stream of what there is to be had: it follows the [`View`], and ends when the identity does.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{Stream, StreamExt as _, unfold};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::held::Held;
use crate::metrics::Metrics;
use crate::trust::Trust;
use crate::view::{Both, Standing, View};

/// Who asks before there is a certificate waits so long for it, and is told then why there is none:
/// a pod's containers start in the same moment.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What a gRPC stream sends.
pub(crate) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

type Views = watch::Receiver<Arc<View>>;
type Make<T> = fn(&Held, &Trust) -> T;
/// Is the second another than the first, for what is made of it?
type Differ = fn(&Both, &Both) -> bool;

struct Following<T> {
    views: Views,
    make: Make<T>,
    differ: Differ,
    /// What was sent last. Their keys live so long.
    sent: Option<Both>,
    patience: Instant,
    ended: bool,
    _open: Open,
}

/// Sends what `make` makes, first and whenever what it is made of does `differ`. Ends with
/// PERMISSION_DENIED when the identity is suspended or over, and with UNAVAILABLE when the certificate
/// ends without another.
pub(crate) fn follow<T: Send + 'static>(
    views: Views,
    metrics: &Metrics,
    make: Make<T>,
    differ: Differ,
) -> Messages<T> {
    let following = Following {
        views,
        make,
        differ,
        sent: None,
        patience: Instant::now() + PATIENCE,
        ended: false,
        _open: Open::new(metrics),
    };
    unfold(following, Following::next).boxed()
}

/// What there is, or will be soon.
pub(crate) async fn now(mut views: Views) -> Result<Both, Status> {
    let patience = Instant::now() + PATIENCE;
    loop {
        let view = Arc::clone(&views.borrow_and_update());
        if let Some(both) = both(&view)? {
            return Ok(both);
        }
        changed(&mut views, patience, &view).await?;
    }
}

/// `Err`: there will be nothing.
pub(crate) fn both(view: &View) -> Result<Option<Both>, Status> {
    if let Standing::Closed(why) = &view.standing {
        return Err(Status::permission_denied(why.to_string()));
    }
    Ok(view.both())
}

/// Waits for another view.
pub(crate) async fn changed(
    views: &mut Views,
    patience: Instant,
    view: &View,
) -> Result<(), Status> {
    tokio::select! {
        changed = views.changed() => changed.map_err(|_| Status::unavailable("stopping")),
        () = sleep_until(patience) => Err(Status::permission_denied(view.missing())),
    }
}

impl<T> Following<T> {
    async fn next(mut self) -> Option<(Result<T, Status>, Self)> {
        if self.ended {
            return None;
        }
        let next = self.look().await;
        self.ended = next.is_err();
        Some((next, self))
    }

    async fn look(&mut self) -> Result<T, Status> {
        loop {
            let view = Arc::clone(&self.views.borrow_and_update());
            match (both(&view)?, &self.sent) {
                (Some(new), sent) if sent.as_ref().is_none_or(|it| (self.differ)(it, &new)) => {
                    let made = (self.make)(&new.0, &new.1);
                    self.sent = Some(new);
                    return Ok(made);
                }
                (None, Some(_)) => return Err(Status::unavailable(view.missing())),
                (None, None) => changed(&mut self.views, self.patience, &view).await?,
                (Some(_), _) => {
                    let changed = self.views.changed().await;
                    changed.map_err(|_| Status::unavailable("stopping"))?;
                }
            }
        }
    }
}

/// The certificate, or anything that is trusted.
pub(crate) fn in_anything(a: &Both, b: &Both) -> bool {
    !Arc::ptr_eq(&a.0, &b.0) || in_trust(a, b)
}

/// The roots, the revocation lists, or the keys of JWT-SVIDs.
pub(crate) fn in_trust(a: &Both, b: &Both) -> bool {
    !Arc::ptr_eq(&a.1, &b.1)
}

/// The keys of JWT-SVIDs. Revocation lists change often, and are none of theirs who ask for keys.
pub(crate) fn in_jwt_keys(a: &Both, b: &Both) -> bool {
    a.1.jwt_keys != b.1.jwt_keys
}

/// A stream that is counted while it is open.
pub(crate) struct Open(Metrics);

impl Open {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        metrics.streams.inc();
        Self(metrics.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.streams.dec();
    }
}

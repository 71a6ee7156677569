//! What this process has done about requests that it still sees: signed, or answered.
//!
//! A write whose answer is lost is tried again with the same certificate, so that a bad network makes
//! no second one; and a request that was answered isn't looked at until the watch has it too.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::certificates::v1::PodCertificateRequestStatus;
use parking_lot::Mutex;
use tokio::time::Instant;

/// For so long a certificate that was signed is written again. Then whether the pod may have it is
/// asked anew; and the API server wants a notBefore of the last five minutes.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// By the request's UID: an entry for each that is seen, at the most.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<HashMap<String, Done>>);

#[derive(Debug, Clone)]
enum Done {
    Signed {
        status: Box<PodCertificateRequestStatus>,
        at: Instant,
    },
    Answered,
}

/// What is to be done about a request.
#[derive(Debug, PartialEq)]
pub(super) enum ToDo {
    /// All of it.
    Everything,
    /// This was signed: write it.
    Write(Box<PodCertificateRequestStatus>),
    /// Nothing.
    Nothing,
}

impl Held {
    pub(super) fn to_do(&self, uid: &str) -> ToDo {
        match self.0.lock().get(uid) {
            Some(Done::Signed { status, at }) if at.elapsed() < GOOD_FOR => {
                ToDo::Write(status.clone())
            }
            Some(Done::Answered) => ToDo::Nothing,
            _ => ToDo::Everything,
        }
    }

    pub(super) fn signed(&self, uid: &str, status: PodCertificateRequestStatus) {
        let status = Box::new(status);
        let at = Instant::now();
        self.0
            .lock()
            .insert(uid.to_owned(), Done::Signed { status, at });
    }

    pub(super) fn answered(&self, uid: &str) {
        self.0.lock().insert(uid.to_owned(), Done::Answered);
    }

    /// It isn't seen any more, or what was signed for it is no good.
    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

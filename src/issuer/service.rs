//! The gRPC service: who asks, what for, and refusals as the wire has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use countersign_authority::RequestedKey;
use countersign_issuing::{
    IssueJwtRequest, IssueJwtResponse, IssueX509Request, IssueX509Response, Issuer, Trust,
    WatchRequest, Watching, bearer_of, refusal,
};
use countersign_lists::Crls;
use tokio::time::Instant;
use tonic::{Code, Request, Status};
use tracing::debug;

use crate::feed::Trusted;
use crate::issue::{ANY, Desk, renew_at};
use crate::metrics::Metrics;
use crate::shares::Shares;
use crate::token::{Asker, BadToken, Tokens};
use crate::watching;
use crate::{Reason, Refused};

/// A request of an RSA key of 8192 bits has 2 KiB.
const MAX_PKCS10_BYTES: usize = 16 * 1024;

/// The desk, with a door.
#[derive(Debug)]
pub(crate) struct Service {
    desk: Desk,
    tokens: Tokens,
    metrics: Metrics,
    shares: Shares,
    max_concurrent: usize,
    in_work: AtomicUsize,
}

/// Who is at the other end of a connection: is it known to be somebody?
#[derive(Debug, Clone, Default)]
pub(crate) struct Guest(Arc<AtomicBool>);

struct Place<'a>(&'a AtomicUsize);

impl Guest {
    fn is(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Service {
    pub(crate) fn new(
        desk: Desk,
        tokens: Tokens,
        metrics: Metrics,
        shares: Shares,
        max_concurrent: usize,
    ) -> Self {
        Self {
            desk,
            tokens,
            metrics,
            shares,
            max_concurrent,
            in_work: AtomicUsize::new(0),
        }
    }

    fn place(&self, call: &'static str) -> Result<Place<'_>, Status> {
        let before = self.in_work.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.in_work);
        if before < self.max_concurrent {
            return Ok(place);
        }
        let refused = Refused {
            reason: Reason::Overloaded,
            message: "too much at once: ask again later".to_owned(),
        };
        Err(self.refuse(call, &refused))
    }

    async fn asker<T>(&self, call: &'static str, request: &Request<T>) -> Result<Asker, Status> {
        let token = bearer_of(request.metadata()).ok_or(BadToken::Missing);
        let asker = match token {
            Ok(token) => self.tokens.asker(token, self.desk.clock().now()).await,
            Err(why) => Err(why),
        };
        match asker {
            Ok(asker) => {
                if let Some(guest) = request.extensions().get::<Guest>() {
                    guest.is();
                }
                Ok(asker)
            }
            Err(why) => {
                let reason = why.reason();
                debug!(call, reason, "a token lets nobody in: {why}");
                self.metrics.refused(call, reason);
                let code = match why {
                    BadToken::NoKeys => Code::Unavailable,
                    _ => Code::Unauthenticated,
                };
                Err(refusal(code, reason, why.to_string()))
            }
        }
    }

    fn refuse(&self, call: &'static str, why: &Refused) -> Status {
        debug!(call, reason = %why.reason, "refused: {}", why.message);
        self.metrics.refused(call, why.reason.as_str());
        status(why)
    }

    fn share(&self, call: &'static str, asker: &Asker) -> Result<(), Status> {
        let share = self.shares.credential(&asker.pod.uid);
        share.map_err(|why| self.refuse(call, &why))
    }

    fn not_issued(&self, call: &'static str, asker: &Asker, why: &Refused) -> Status {
        self.shares.give_back(&asker.pod.uid);
        self.refuse(call, why)
    }

    fn certificate_key(&self, pkcs10: &[u8]) -> Result<RequestedKey, Refused> {
        let bad = |message: String| Refused {
            reason: Reason::BadRequest,
            message,
        };
        if pkcs10.len() > MAX_PKCS10_BYTES {
            return Err(bad(
                "the certificate request has more than 16 KiB".to_owned()
            ));
        }
        RequestedKey::from_pkcs10_der(pkcs10).map_err(|why| bad(why.to_string()))
    }
}

impl Issuer for Service {
    async fn issue_x509(
        &self,
        request: Request<IssueX509Request>,
    ) -> Result<IssueX509Response, Status> {
        const CALL: &str = "IssueX509";
        let started = Instant::now();
        let asker = self.asker(CALL, &request).await?;
        let _place = self.place(CALL)?;
        self.share(CALL, &asker)?;
        let request = request.into_inner();
        let key = self.certificate_key(&request.pkcs10);
        let key = key.map_err(|why| self.not_issued(CALL, &asker, &why))?;
        let which = named(&request.identity);
        let domain = named(&request.trust_domain);
        let issued = self
            .desk
            .certificate(&asker.pod, which, domain, &key, ANY)
            .await;
        let it = issued.map_err(|why| self.not_issued(CALL, &asker, &why))?;
        self.metrics.issued("X509", started.elapsed());
        let crls = self.desk.feed().crls(&it.trust_domain);
        let renew = renew_at(it.now, it.not_after, rand::random());
        Ok(IssueX509Response {
            spiffe_id: it.spiffe_id,
            chain: it.chain,
            not_after: it.not_after.as_second(),
            renew_at: renew.as_second(),
            trust: it
                .trust
                .as_deref()
                .map(|trust| trust_of(&it.trust_domain, trust, &crls)),
            serial_number: it.serial_number,
        })
    }

    async fn issue_jwt(
        &self,
        request: Request<IssueJwtRequest>,
    ) -> Result<IssueJwtResponse, Status> {
        const CALL: &str = "IssueJwt";
        let started = Instant::now();
        let asker = self.asker(CALL, &request).await?;
        let _place = self.place(CALL)?;
        self.share(CALL, &asker)?;
        let request = request.into_inner();
        let which = named(&request.identity);
        let issued = self.desk.jwt(&asker.pod, which, &request.audience).await;
        let it = issued.map_err(|why| self.not_issued(CALL, &asker, &why))?;
        self.metrics.issued("JWT", started.elapsed());
        Ok(IssueJwtResponse {
            token: it.token,
            not_after: it.not_after.as_second(),
            spiffe_id: it.spiffe_id,
        })
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Watching, Status> {
        const CALL: &str = "Watch";
        let asker = self.asker(CALL, &request).await?;
        let _place = self.place(CALL)?;
        let which = request.into_inner().identity;
        let share = self.shares.watch(&asker.pod.uid);
        let share = share.map_err(|why| self.refuse(CALL, &why))?;
        let held = (self.metrics.stream(), share);
        let watching = watching::begin(self.desk.clone(), asker, which, held).await;
        watching.map_err(|why| self.refuse(CALL, &why))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A refusal as the wire has it.
pub(crate) fn status(why: &Refused) -> Status {
    let code = match why.reason {
        Reason::UnknownPod
        | Reason::NoIdentity
        | Reason::SeveralIdentities
        | Reason::TaskOver
        | Reason::IdentitySuspended
        | Reason::IdentityEnded => Code::PermissionDenied,
        Reason::NotReady | Reason::TtlOutOfBounds => Code::FailedPrecondition,
        Reason::BadRequest => Code::InvalidArgument,
        Reason::Stale | Reason::AuditUnavailable | Reason::NoAuthority => Code::Unavailable,
        Reason::Overloaded => Code::ResourceExhausted,
    };
    refusal(code, why.reason.as_str(), why.message.clone())
}

/// What is published of a trust domain, as the wire has it, and its revocation lists.
pub(crate) fn trust_of(name: &str, trust: &Trusted, crls: &Crls) -> Trust {
    let roots = trust.bundle.roots().iter();
    let below = trust.bundle.intermediates();
    Trust {
        trust_domain: name.to_owned(),
        roots: roots.map(|it| it.der().to_vec()).collect(),
        bundle_json: trust.json.clone(),
        sequence: i64::try_from(trust.bundle.sequence).unwrap_or(i64::MAX),
        crls: crls.to_vec(),
        intermediates: below.map(<[u8]>::to_vec).collect(),
    }
}

/// An empty name is none.
fn named(text: &str) -> Option<&str> {
    Some(text).filter(|it| !it.is_empty())
}

//! Trust domains: what signs, how long, and what is published of it.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign_api as api;
use countersign_authority::{AuthorityId, AuthoritySet, Bundle, Signer};
use countersign_jwtsvid::{IssuerUrl, Keys, Signer as TokenSigner};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use parking_lot::Mutex;
use tracing::warn;

use super::authority::{Authority, Stored};
use super::signing_keys::{self, SigningKeys};
use crate::oidc::Face;

/// The end of the name of a ConfigMap with a bundle.
const SUFFIX: &str = "-bundle";

/// What is kept of a TrustDomain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The Secret with its authority.
    pub(super) secret: String,
    built_in: bool,
    distrusted: Vec<String>,
    default_ttl_seconds: u64,
    max_ttl_seconds: u64,
    issuer: Option<String>,
    /// `Err`: why it isn't.
    ready: Result<(), String>,
}

/// What is kept of a ConfigMap with a bundle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) trust_domain: String,
    json: String,
    intermediates: Option<String>,
}

/// A trust domain as it is now.
#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) default_ttl_seconds: u64,
    pub(crate) max_ttl_seconds: u64,
    /// `Err`: why nothing is signed.
    pub(crate) signer: Result<Arc<Signer>, String>,
    /// What signs JWT-SVIDs. `Err`: why nothing does.
    pub(crate) tokens: Result<Arc<TokenSigner>, String>,
    /// The `iss` of JWT-SVIDs.
    pub(crate) issuer: Option<IssuerUrl>,
    /// What the world sees, where there is an issuer URL.
    pub(crate) face: Option<Face>,
    /// What is published; `None`: nothing that can be read.
    pub(crate) trust: Option<Arc<Trusted>>,
    set: Option<Arc<AuthoritySet>>,
}

/// A bundle that is published.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trusted {
    pub(crate) bundle: Bundle,
    /// As a SPIFFE document, with keys that aren't roots.
    pub(crate) json: String,
}

/// All trust domains, readable without waiting.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    all: ArcSwap<HashMap<String, Arc<Domain>>>,
    /// Held while one is put together: several watches come here, and whoever is last has seen what
    /// all brought.
    one: Mutex<()>,
}

/// `None` for one that is being deleted.
pub(super) fn reduce(object: &api::TrustDomain) -> Option<Wanted> {
    if object.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let spec = &object.spec;
    let own = spec.authority.secret_ref.as_ref();
    let seconds = |it: i64| u64::try_from(it).unwrap_or(0);
    let conditions = object.status.iter().flat_map(|it| &it.conditions);
    let mut ready = conditions.filter(|it| it.type_ == "Ready");
    Some(Wanted {
        secret: own.map_or_else(
            || format!("{}-authority", object.name_any()),
            |it| it.name.clone(),
        ),
        built_in: own.is_none(),
        distrusted: spec.authority.distrusted.clone(),
        default_ttl_seconds: seconds(spec.default_certificate_ttl_seconds),
        max_ttl_seconds: seconds(spec.max_certificate_ttl_seconds),
        issuer: spec.issuer_url.clone(),
        ready: match ready.next() {
            Some(it) if it.status == "True" => Ok(()),
            Some(it) => Err(format!("it isn't Ready: {}: {}", it.reason, it.message)),
            None => Err("it isn't Ready yet".to_owned()),
        },
    })
}

/// `None` for a ConfigMap that is no bundle.
pub(super) fn published(object: &ConfigMap) -> Option<Published> {
    let data = object.data.as_ref()?;
    Some(Published {
        trust_domain: object.name_any().strip_suffix(SUFFIX)?.to_owned(),
        json: data.get("bundle.json")?.clone(),
        intermediates: data.get("intermediates.crt").cloned(),
    })
}

/// The ConfigMap with a trust domain's bundle.
pub(super) fn config_map(trust_domain: &str) -> String {
    format!("{trust_domain}{SUFFIX}")
}

impl Domain {
    pub(super) fn of(
        name: &str,
        wanted: &Wanted,
        stored: Option<&Stored>,
        signing_keys: Option<&SigningKeys>,
        published: Option<&Published>,
    ) -> Self {
        let trust = published.and_then(Trusted::of).map(Arc::new);
        let set = match stored.map(|it| &it.authority) {
            Some(Ok(Authority::BuiltIn(set, _))) => Some(Arc::clone(set)),
            _ => None,
        };
        let keys = trust.as_ref().and_then(|trust| {
            let keys = Keys::from_bundle_json(name, &trust.json);
            let told = |why: &_| warn!(trust_domain = name, "no JWT-SVIDs: {why}");
            keys.inspect_err(told).ok()
        });
        let issuer = wanted.issuer.as_deref().map(IssuerUrl::parse).transpose();
        let tokens = match &issuer {
            Ok(_) => tokens(name, wanted, signing_keys, keys.as_ref()),
            Err(why) => Err(why.to_string()),
        };
        let issuer = issuer.ok().flatten();
        Self {
            name: name.to_owned(),
            face: issuer
                .clone()
                .zip(keys)
                .map(|(issuer, keys)| Face::new(issuer, &keys)),
            tokens,
            issuer,
            default_ttl_seconds: wanted.default_ttl_seconds,
            max_ttl_seconds: wanted.max_ttl_seconds,
            signer: signer(name, wanted, stored, trust.as_deref()),
            trust,
            set,
        }
    }

    /// Whose revocation lists are to be had: that of the authority that signs, and that of the next, whose
    /// first leaves are refused without one where a list is insisted on.
    pub(super) fn lists(&self) -> Option<countersign_lists::Wanted> {
        let signing = self.signer.as_ref().ok().map(|it| it.id().to_string());
        let prepared = self.set.as_ref().and_then(|it| it.prepared());
        let prepared = prepared.map(|it| it.id().to_string());
        Some(countersign_lists::Wanted {
            bundle: Arc::new(self.trust.as_ref()?.bundle.clone()),
            keys: None,
            signing: signing.into_iter().chain(prepared).collect(),
        })
    }

    /// Must certificates that this authority signed be had anew, now?
    pub(crate) fn reissue(&self, signed_by: &AuthorityId) -> bool {
        let gone = |trust: &Arc<Trusted>| trust.bundle.authority(signed_by).is_none();
        self.trust.as_ref().is_some_and(gone)
            || self.set.as_ref().is_some_and(|it| it.reissue(signed_by))
    }
}

/// What signs, if it may: whose bundle is published, so that what it signs can be verified.
fn signer(
    name: &str,
    wanted: &Wanted,
    stored: Option<&Stored>,
    trust: Option<&Trusted>,
) -> Result<Arc<Signer>, String> {
    wanted.ready.clone()?;
    let stored = stored.filter(|it| it.trust_domain == name);
    let stored = stored.ok_or_else(|| format!("there is no Secret {}", wanted.secret))?;
    let authority = stored.authority.as_ref().map_err(Clone::clone)?;
    if matches!(authority, Authority::BuiltIn(..)) != wanted.built_in {
        return Err(format!(
            "Secret {} holds another kind of authority",
            wanted.secret
        ));
    }
    let signer = authority.signer();
    if wanted
        .distrusted
        .iter()
        .any(|it| it == signer.id().as_str())
    {
        return Err(format!("authority {} is distrusted", signer.id()));
    }
    let Some(trust) = trust else {
        return Err("its bundle isn't published".to_owned());
    };
    let roots = trust.bundle.roots();
    if !signer.roots().iter().any(|it| roots.contains(it)) {
        return Err("the authority that signs isn't in the bundle yet".to_owned());
    }
    Ok(Arc::clone(signer))
}

/// What signs JWT-SVIDs, if it may: whose key is published, so that others can verify them.
fn tokens(
    name: &str,
    wanted: &Wanted,
    stored: Option<&SigningKeys>,
    published: Option<&Keys>,
) -> Result<Arc<TokenSigner>, String> {
    wanted.ready.clone()?;
    let stored = stored.filter(|it| it.trust_domain == name);
    let stored =
        stored.ok_or_else(|| format!("there is no Secret {}", signing_keys::secret(name)))?;
    let signer = stored.tokens.as_ref().map_err(Clone::clone)?;
    if wanted.distrusted.iter().any(|it| it == signer.kid()) {
        return Err(format!("key {} is distrusted", signer.kid()));
    }
    let published = published.ok_or("its bundle isn't published, or can't be read")?;
    if !published.kids().any(|it| it == signer.kid()) {
        return Err("the key for JWT-SVIDs isn't in the bundle yet".to_owned());
    }
    Ok(Arc::clone(signer))
}

impl Trusted {
    fn of(published: &Published) -> Option<Self> {
        let name = &published.trust_domain;
        let bundle = match Bundle::from_spiffe_json(&published.json) {
            Ok(bundle) => bundle,
            Err(why) => {
                warn!(trust_domain = name, "the bundle can't be read: {why}");
                return None;
            }
        };
        let below = published.intermediates.as_deref();
        let whole = below.and_then(|pem| bundle.clone().with_intermediates_pem(pem).ok());
        Some(Self {
            bundle: whole.unwrap_or(bundle),
            json: published.json.clone(),
        })
    }
}

impl Domains {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Domain>> {
        self.all.load().get(name).cloned()
    }

    pub(crate) fn all(&self) -> Arc<HashMap<String, Arc<Domain>>> {
        self.all.load_full()
    }

    /// `None`: it is gone.
    pub(super) fn put_together(&self, name: &str, domain: impl FnOnce() -> Option<Domain>) {
        let _one = self.one.lock();
        let domain = domain();
        let mut all = HashMap::clone(&self.all.load());
        match domain {
            Some(domain) => all.insert(name.to_owned(), Arc::new(domain)),
            None => all.remove(name),
        };
        self.all.store(Arc::new(all));
    }
}

//! Chains of statements, and what else a trust domain signs.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_authority::{Bundle, PrivateKey};
use countersign_core::{Grant, SpiffeId, TrustDomainName};
use countersign_statement::agent::{self, Request};
use countersign_statement::checkpoint::{self, Checkpoint};
use countersign_statement::revocation::List;
use countersign_statement::{
    Claims, Digest, KeyRing, Purpose, Statement, Task, TrustedKeys, owner_subject,
};
use serde_json::json;

use crate::certificates::{Authority, agent_key};
use crate::{DOMAIN, after, ring, start};

/// What the trust domain signed, and what reads it.
pub struct Signed {
    /// Its signing keys.
    pub ring: KeyRing,
    /// Who verifies has these of it, …
    pub keys: TrustedKeys,
    /// … from this text, …
    pub bundle_json: String,
    /// … and these roots.
    pub roots: Bundle,
    /// Chains from hop 0 on. The first two have hop 0 in common, the third is another owner's; the
    /// first has the delegator's own statement at hop 2.
    pub chains: Vec<Vec<Statement>>,
    /// The first chain as another trust domain signs it. It counts for nothing here.
    pub foreign: Vec<String>,
    /// A revocation list.
    pub list: String,
    /// A checkpoint of an audit log.
    pub checkpoint: String,
    /// What the agent of hop 1 signed itself.
    pub request: String,
    /// Its certificate.
    pub svid: Vec<u8>,
}

impl Signed {
    /// Signs all of it.
    pub fn new() -> Self {
        let ring = ring::ring(DOMAIN);
        let authority = Authority::new();
        let svid = authority.svid(agent_of(1).as_str());
        let mut one = hop_0(&ring, DOMAIN, "alice");
        extend(&ring, DOMAIN, &mut one, &agent_of(1), None);
        let mut other = one[..1].to_vec();
        let asked = request(&one[1]);
        let key = PrivateKey::from_pem(&agent_key().pem()).expect("it is PKCS#8");
        let request = agent::sign(&asked, &key, std::slice::from_ref(&svid));
        let request = request.expect("an agent signs");
        extend(&ring, DOMAIN, &mut one, &agent_of(2), Some(&request));
        extend(&ring, DOMAIN, &mut one, &agent_of(3), None);
        extend(&ring, DOMAIN, &mut other, &agent_of(7), None);
        extend(&ring, DOMAIN, &mut other, &agent_of(2), None);
        let mut third = hop_0(&ring, DOMAIN, "bob");
        extend(&ring, DOMAIN, &mut third, &agent_of(1), None);
        Self {
            keys: ring.trusted().expect("a ring can be trusted"),
            bundle_json: json!({"keys": ring.jwks(), "spiffe_sequence": 1}).to_string(),
            roots: authority.bundle(),
            foreign: foreign(),
            list: list(&ring, one[1].digest()),
            checkpoint: head(&ring),
            chains: vec![one, other, third],
            ring,
            request,
            svid,
        }
    }

    /// May `texts` be accepted? Only the beginning of a chain that was signed.
    pub fn signed(&self, texts: &[&str]) -> bool {
        self.chains.iter().any(|chain| {
            let same = chain
                .iter()
                .zip(texts)
                .all(|(it, text)| it.compact() == *text);
            same && !texts.is_empty() && texts.len() <= chain.len()
        })
    }

    /// Any payload, signed as the trust domain signs for `purpose`.
    pub fn sign(&self, purpose: Purpose, payload: &[u8]) -> String {
        let key = ring::key(DOMAIN, purpose);
        let header = format!(
            r#"{{"alg":"EdDSA","typ":"{}","kid":"{}"}}"#,
            purpose.typ(),
            key.kid()
        );
        key.jws(&URL_SAFE_NO_PAD.encode(header), payload)
    }

    /// Any payload, signed as the agent of hop 1 signs.
    pub fn sign_as_agent(&self, payload: &[u8]) -> String {
        let x5c = STANDARD.encode(&self.svid);
        let header = json!({"alg": "EdDSA", "typ": agent::TYP, "x5c": [x5c]}).to_string();
        agent_key().jws(&URL_SAFE_NO_PAD.encode(header), payload)
    }
}

impl Default for Signed {
    fn default() -> Self {
        Self::new()
    }
}

/// The payload of a compact JWS of ours.
pub fn payload_of(compact: &str) -> Vec<u8> {
    let payload = compact.split('.').nth(1).unwrap_or_default();
    URL_SAFE_NO_PAD.decode(payload).expect("it is ours")
}

/// The agent with this number.
pub fn agent_of(number: u8) -> SpiffeId {
    let agent = format!("agent-{number}");
    SpiffeId::for_task(&domain(DOMAIN), "finance", &agent, "t-1", "i-2").expect("it is an ID")
}

fn domain(name: &str) -> TrustDomainName {
    TrustDomainName::parse(name).expect("it is a name")
}

fn hop_0(ring: &KeyRing, name: &str, owner: &str) -> Vec<Statement> {
    let grants = json!([{
        "actions": ["read", "list"], "resources": ["ledger/*"],
        "constraints": {"maxDataClass": "Confidential", "audiences": ["bank", "audit"],
                        "notAfter": "2026-12-01T00:00:00Z", "maxCalls": 100},
    }]);
    let claims = Claims {
        issuer: domain(name),
        subject: owner_subject(&domain(name), owner).expect("it is a name"),
        delegator: None,
        id: format!("owner-uid/{owner}"),
        issued_at: start(),
        expires_at: after(3600),
        depth: 0,
        max_depth: 5,
        parent: None,
        grants: serde_json::from_value(grants).expect("these are grants"),
        owner: owner.to_owned(),
        task: None,
        requester: Some(format!("{owner}@example.org")),
        agent_statement: None,
    };
    vec![countersign(ring, &claims)]
}

fn extend(
    ring: &KeyRing,
    name: &str,
    chain: &mut Vec<Statement>,
    delegate: &SpiffeId,
    request: Option<&str>,
) {
    let above = chain.last().expect("there is hop 0");
    let parent = above.claims();
    let path = delegate.as_str().trim_start_matches("spiffe://example.org");
    let claims = Claims {
        subject: SpiffeId::parse(&format!("spiffe://{name}{path}")).expect("it is an ID"),
        delegator: Some(parent.subject.clone()),
        id: format!("uid-{}-{path}", parent.depth + 1),
        expires_at: after(3600 - 60 * i64::from(parent.depth + 1)),
        depth: parent.depth + 1,
        parent: Some(*above.digest()),
        task: Some(Task {
            group: "batch".to_owned(),
            resource: "jobs".to_owned(),
            namespace: "finance".to_owned(),
            name: "reconcile".to_owned(),
            uid: "t-1".to_owned(),
        }),
        grants: narrower(&parent.grants),
        agent_statement: request.map(str::to_owned),
        ..parent.clone()
    };
    chain.push(countersign(ring, &claims));
}

/// One segment deeper, with half of the calls.
fn narrower(grants: &[Grant]) -> Vec<Grant> {
    let mut grants = grants.to_vec();
    for grant in &mut grants {
        for resource in &mut grant.resources {
            resource.insert_str(resource.len() - 1, "x/");
        }
        grant.constraints.max_calls = grant.constraints.max_calls.map(|it| it / 2);
    }
    grants
}

fn countersign(ring: &KeyRing, claims: &Claims) -> Statement {
    let signer = ring.signer(Purpose::Statements);
    let statement = signer.expect("there is a key").countersign(claims);
    statement.expect("these are claims")
}

/// What hop 1 asks for hop 2.
fn request(parent: &Statement) -> Request {
    Request {
        delegator: parent.claims().subject.clone(),
        delegate: agent_of(2),
        id: "mine-1".to_owned(),
        issued_at: start(),
        expires_at: after(3600),
        max_depth: 5,
        parent: *parent.digest(),
        grants: parent.claims().grants.clone(),
    }
}

fn foreign() -> Vec<String> {
    const NAME: &str = "other.example";
    let ring = ring::ring(NAME);
    let mut chain = hop_0(&ring, NAME, "alice");
    extend(&ring, NAME, &mut chain, &agent_of(1), None);
    chain.iter().map(|it| it.compact().to_owned()).collect()
}

fn list(ring: &KeyRing, revoked: &Digest) -> String {
    let list = List::new(start(), after(60), 7, (0, 1), [*revoked]);
    let signer = ring.signer(Purpose::Lists).expect("there is a key");
    list.expect("it is a list").sign(&signer).expect("it signs")
}

fn head(ring: &KeyRing) -> String {
    let checkpoint = Checkpoint {
        issued_at: start(),
        chain: "example.org/a".to_owned(),
        sequence: 7,
        hash: [7; 32],
    };
    let signer = ring.signer(Purpose::Checkpoints).expect("there is a key");
    checkpoint::sign(&checkpoint, &signer).expect("it signs")
}

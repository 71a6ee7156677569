//! The API server is gone for a minute.

use std::time::{Duration, Instant};

use countersign_api::AgentIdentity;
use rcgen::KeyPair;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::decider::{Decider, Told, question};
use super::revocation::patch_identity;
use super::setting::{guard, permit, set_cluster_policy, spiffe_id};
use super::through::lasting;
use crate::harness::{Space, World, identity, within};
use crate::pki::pkcs10;
use crate::support::with;

/// How long the API server is gone, at least.
const MINUTE: Duration = Duration::from_secs(60);
/// How old what is known may be.
const STALE: &str = "20";
/// How long a certificate is good that ends meanwhile, in seconds.
const BRIEF: u32 = 70;
/// Much longer than anything takes on two busy cores.
const PATIENCE: Duration = Duration::from_secs(120);

async fn until(decider: &Decider, asked: &Value, reason: &str) {
    let asks = async || {
        let told = decider.ask(asked).await;
        (told.reason == reason).then_some(())
    };
    within(PATIENCE, reason, asks).await;
}

/// An agent whose certificate ends soon, and which asks for no other.
async fn brief_one(space: &Space) -> AgentIdentity {
    let key = KeyPair::generate().unwrap();
    let request = pkcs10(&key).pem().unwrap();
    let patch = json!({"spec": {"credential": {
        "delivery": "Request",
        "request": {"pkcs10": request},
        "certificateTTLSeconds": BRIEF,
    }}});
    let object = with(&identity("brief", "jobs.batch/work"), &patch);
    space.create_identity(&object).await;
    space.until_ready("brief").await
}

/// What one decision point said of one agent, over time.
#[derive(Default)]
struct Heard {
    allowed: usize,
    denied: usize,
    first_denial: Option<Duration>,
}

impl Heard {
    /// Nothing but these reasons is given, and no allow comes after a denial.
    fn note(&mut self, told: &Told, since: Instant, reasons: &[&str]) {
        if told.allowed {
            assert_eq!(self.denied, 0, "allowed after a denial: {told:?}");
            self.allowed += 1;
            return;
        }
        assert!(reasons.contains(&told.reason.as_str()), "{told:?}");
        self.first_denial.get_or_insert_with(|| since.elapsed());
        self.denied += 1;
    }
}

#[tokio::test]
async fn with_the_api_server_gone_for_a_minute_it_answers_to_the_bound_or_to_the_certificates_end()
{
    let world = World::own().await;
    let _operator = world.operator("only", &["--secret-namespaces", "*"]);
    set_cluster_policy(&world, "guard", &guard()).await;
    let space = world.space("gone").await;
    space.set_policy("granted", &permit()).await;
    let agents = lasting(&space, &["lasting", "doomed"], 900).await;
    let ask_of = |it: &AgentIdentity| question(&spiffe_id(it), "read", "ledger/invoices/7");
    let (lasting, doomed) = (&ask_of(&agents[0]), &ask_of(&agents[1]));

    let arguments = ["--stale-after-seconds", STALE, "--record", "sensitive"];
    let (near, far) = (world.proxy(), world.proxy());
    let by = |proxy: &countersign_testbed::FaultProxy, name| {
        Decider::by(proxy.kubeconfig(), world.plane().dir(), name, &arguments)
    };
    let (strict, patient) = (by(&near, "strict"), by(&far, "patient"));
    for decider in [&strict, &patient] {
        decider.ready().await;
        for asked in [lasting, doomed] {
            until(decider, asked, "Permitted").await;
        }
    }

    near.cut();
    let strict_since = Instant::now();
    let mut bounded = Heard::default();
    bounded.note(&strict.ask(lasting).await, strict_since, &["NotReady"]);
    // The one that still hears of it goes on until certificates expire.
    let mut going_on = guard();
    going_on["onStale"] = json!("UntilCertificatesExpire");
    let marker =
        "forbid (principal, action, resource in Countersign::Collection::\"ledger/marker\");";
    let policies = going_on["policies"].as_array_mut().unwrap();
    policies.push(json!({"id": "marker", "cedar": marker}));
    set_cluster_policy(&world, "guard", &going_on).await;
    let agent = lasting["subject"]["id"].as_str().unwrap();
    let marked = question(agent, "read", "ledger/marker/7");
    until(&patient, &marked, "ForbiddenByPolicy").await;
    let brief = &ask_of(&brief_one(&space).await);
    until(&patient, brief, "Permitted").await;
    far.cut();
    let patient_since = Instant::now();
    patch_identity(&space, "doomed", "Revoked").await;

    let (mut goes_on, mut ends) = (Heard::default(), Heard::default());
    while patient_since.elapsed() < MINUTE || ends.denied == 0 || bounded.denied == 0 {
        let told = strict.ask(lasting).await;
        bounded.note(&told, strict_since, &["NotReady"]);
        let told = patient.ask(lasting).await;
        goes_on.note(&told, patient_since, &[]);
        let told = patient.ask(brief).await;
        // Not stale yet, it would be the certificate that is over.
        ends.note(&told, patient_since, &["NotReady", "AgentNotReady"]);
        assert!(patient_since.elapsed() < 2 * PATIENCE, "{}", patient.log());
        sleep(Duration::from_millis(200)).await;
    }
    assert!(bounded.allowed > 0 && ends.allowed > 0);
    assert_eq!(strict.ask(doomed).await.reason, "NotReady");
    let unheard = patient.ask(doomed).await.reason;
    eprintln!(
        "the API server gone for {:?}: with the bound of {STALE} s {} allowed until {:?}, then {} denied; \
         until certificates expire {} allowed; with a certificate that expires {} allowed until {:?}, \
         then {} denied; what was revoked meanwhile: {unheard}",
        patient_since.elapsed(),
        bounded.allowed,
        bounded.first_denial.unwrap(),
        bounded.denied,
        goes_on.allowed,
        ends.allowed,
        ends.first_denial.unwrap(),
        ends.denied,
    );

    let healed = Instant::now();
    near.heal();
    far.heal();
    for (name, decider) in [("strict", &strict), ("patient", &patient)] {
        until(decider, doomed, "AgentEnded").await;
        until(decider, lasting, "Permitted").await;
        until(decider, &marked, "ForbiddenByPolicy").await;
        eprintln!("{name} knows all again {:?} after it", healed.elapsed());
        assert_eq!(decider.ask(doomed).await.reason, "AgentEnded");
    }
}

//! Decides without Kubernetes: facts and policies in, an answer with its reason out.
//!
//! ```text
//! cargo run --example embed_decision
//! ```
//!
//! Whoever embeds the engine feeds it with facts as they change, shows it the certificates of agents,
//! and asks it for each request. Here one agent may read invoices and nothing riskier.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use countersign_authority::Bundle;
use countersign_core::{DataClass, Grant};
use countersign_decision::{
    Answer, Call, Caller, CurrentCertificate, Effect, Engine, Feed, Freshness, IdentityFacts,
    IdentityState, OwnerFacts, Question, ResourceRef, ResourceRule, Rules, Signal, SignalSubject,
    Signals, TrustDomainFacts, World,
};
use countersign_policy::{Mode, PolicySet, PolicySource, PolicyText, Scope, compile};
use countersign_statement::TrustedKeys;
use jiff::{SignedDuration, Timestamp};

const AGENT: &str = "spiffe://example.org/ns/finance/agent/invoice-reader";
const READERS: &str = r#"permit (
    principal in Countersign::Namespace::"finance",
    action == Countersign::Action::"read",
    resource in Countersign::Collection::"ledger"
);"#;
const RISK: &str = r#"forbid (principal, action, resource)
    when { context.signals.risk + 25 * resource.sensitivity > 100 };"#;

#[allow(clippy::print_stdout, reason = "it is what this program is for")]
fn main() -> Result<()> {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse()?;
    let engine = Engine::new(Arc::new(World::new()), Arc::new(Signals::new()));
    feed(engine.world(), now)?;

    // This caller has found out itself which agent it talks to. Others show the agent's certificate.
    let caller = Caller {
        name: "an example".to_owned(),
        vouches: true,
        authoritative: false,
    };
    println!("{}", shown(&engine.decide(&caller, &question("read"), now)));
    println!(
        "{}",
        shown(&engine.decide(&caller, &question("delete"), now))
    );

    // Something was noticed: from the next request on it counts, and fades within the hour.
    engine.signals().accept(noticed(now), now)?;
    println!("{}", shown(&engine.decide(&caller, &question("read"), now)));
    let later = now + SignedDuration::from_secs(1800);
    println!(
        "{}",
        shown(&engine.decide(&caller, &question("read"), later))
    );

    // The owner is gone, and with it all that its agents may do.
    engine.world().remove_owner("alice");
    println!(
        "{}",
        shown(&engine.decide(&caller, &question("read"), later))
    );
    Ok(())
}

/// One agent, its owner and its trust domain; how sensitive the ledger is; two policies.
fn feed(world: &World, now: Timestamp) -> Result<()> {
    let grants = vec![Grant {
        actions: vec!["read".to_owned()],
        resources: vec!["ledger/*".to_owned()],
        constraints: Default::default(),
    }];
    world.put_trust_domain(TrustDomainFacts {
        name: "example.org".to_owned(),
        // With roots and keys in it, certificates and chains are verified.
        bundle: Arc::new(Bundle::new(1, [])),
        keys: Arc::new(TrustedKeys::from_bundle_json(
            "example.org",
            r#"{"keys": []}"#,
        )?),
    });
    world.put_owner(OwnerFacts {
        name: "alice".to_owned(),
        uid: "3b0e".to_owned(),
        kind: "Person".to_owned(),
        active: true,
        grants: grants.clone(),
        users: vec!["alice@example.org".to_owned()],
    });
    world.put_identity(IdentityFacts {
        uid: "77c1".to_owned(),
        namespace: "finance".to_owned(),
        name: "invoice-reader".to_owned(),
        spiffe_id: AGENT.to_owned(),
        trust_domain: "example.org".to_owned(),
        owner: "alice".to_owned(),
        task: "jobs.batch/reconcile-2026-11".to_owned(),
        requester: Some("alice@example.org".to_owned()),
        grants,
        attributes: BTreeMap::new(),
        state: IdentityState::Active,
        certificate: Some(CurrentCertificate {
            serial_number: "4f2a".to_owned(),
            not_after: now + SignedDuration::from_secs(3600),
        }),
        in_pods: None,
        deadline: None,
    });
    world.set_rules(Rules {
        resources: vec![ResourceRule {
            pattern: "ledger/*".to_owned(),
            sensitivity: DataClass::Confidential,
            residency: Vec::new(),
        }],
        ..Rules::default()
    });
    world.set_policies(Arc::new(policies()?));
    world.set_freshness(Freshness::Fresh);
    Ok(())
}

fn policies() -> Result<PolicySet> {
    let policy = |id: &str, cedar: &str| PolicyText {
        id: id.to_owned(),
        cedar: cedar.to_owned(),
        obligations: Vec::new(),
    };
    let source = PolicySource {
        scope: Scope::Cluster,
        name: "ledger".to_owned(),
        mode: Mode::Enforce,
        policies: vec![policy("readers", READERS), policy("risk", RISK)],
        tests: Vec::new(),
    };
    let compiled = compile(&source).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!(lines.join("\n"))
    });
    Ok(PolicySet::of([
        compiled.context("the policies are refused")?
    ]))
}

fn question(action: &str) -> Question {
    Question {
        agent: AGENT.to_owned(),
        certificate: None,
        action: action.to_owned(),
        resource: ResourceRef {
            kind: "document".to_owned(),
            path: "ledger/invoices/7".to_owned(),
            ..ResourceRef::default()
        },
        authority: None,
        call: Call::default(),
    }
}

fn noticed(now: Timestamp) -> Signal {
    Signal {
        id: "1".to_owned(),
        source: "an example".to_owned(),
        subject: SignalSubject::Agent(AGENT.to_owned()),
        kind: "falco/Terminal shell in container".to_owned(),
        severity: 80,
        observed: now,
        lifetime: SignedDuration::from_secs(3600),
        effect: Effect::Risk,
        why: "a shell was opened in the agent's container".to_owned(),
    }
}

fn shown(answer: &Answer) -> String {
    let word = if answer.allowed { "allowed" } else { "denied" };
    format!(
        "{}  {word} ({}): {}; risk {}, data {}",
        answer.time, answer.reason, answer.explanation, answer.risk.risk, answer.sensitivity
    )
}

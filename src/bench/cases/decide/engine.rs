//! The engine in process: nothing but the decision itself.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use countersign_core::DataClass;
use countersign_decision::{
    Authority, Call, Caller, CurrentCertificate, Engine, Feed as _, Freshness, HopFacts, HopState,
    IdentityFacts, IdentityState, OwnerFacts, Question, ResourceRef, ResourceRule, Rules,
    TrustDomainFacts,
};
use countersign_policy::{Mode, PolicySet, PolicySource, PolicyText, Scope, compile};
use countersign_statement::Statement;
use jiff::{SignedDuration, Timestamp};

use super::measure::{BLOCK, Latency};
use super::scene::{GUARDS, PERMITS};
use crate::made_up::{serial, uid};
use crate::signed::{Signatory, SignedBy, verified_at};

/// Hop 0, which says what the owner may hand on, and three delegations.
const STATEMENTS: usize = 4;

/// Policies of an object.
const POLICIES_EACH: usize = 20;

/// An engine that knows one chain of three and so many policies, and the question about it.
pub(super) struct Decider {
    engine: Engine,
    caller: Caller,
    question: Question,
    now: Timestamp,
}

impl Decider {
    /// The six policies that the rest of the benchmark has, and others up to `policies`: half of
    /// them of other namespaces, half of this one about other things.
    pub(super) fn make(signatory: &Signatory, policies: usize) -> Result<Self> {
        let engine = Engine::new(Arc::default(), Arc::default());
        let chain = signatory.chain(STATEMENTS, SignedBy::Domain)?;
        feed(&engine, signatory, &chain)?;
        engine.world().set_policies(Arc::new(set(policies)?));
        let leaf = chain.last().context("a chain has a leaf")?;
        let folders: String = (1..STATEMENTS).map(|it| format!("d{it:02}/")).collect();
        let decider = Self {
            caller: Caller {
                name: "bench".to_owned(),
                vouches: true,
                authoritative: true,
            },
            question: Question {
                agent: leaf.claims().subject.as_str().to_owned(),
                certificate: None,
                action: "read".to_owned(),
                resource: ResourceRef {
                    kind: "document".to_owned(),
                    path: format!("ledger/{folders}7"),
                    properties: Default::default(),
                },
                authority: Some(Authority::Digest(*leaf.digest())),
                call: Call {
                    source_ip: Some("10.1.2.3".parse()?),
                    ..Call::default()
                },
            },
            now: verified_at()?,
            engine,
        };
        let answer = decider
            .engine
            .decide(&decider.caller, &decider.question, decider.now);
        ensure!(answer.allowed, "{}: {}", answer.reason, answer.explanation);
        Ok(decider)
    }

    /// In microseconds each.
    fn block(&self, took: &mut Vec<f64>) {
        for _ in 0..BLOCK {
            let started = Instant::now();
            let question = black_box(&self.question);
            black_box(self.engine.decide(&self.caller, question, self.now));
            took.push(started.elapsed().as_secs_f64() * 1e6);
        }
    }
}

/// All of them in turns.
pub(super) fn latency(deciders: &[&Decider], blocks: usize) -> Vec<Latency> {
    let mut all: Vec<Vec<f64>> = deciders.iter().map(|_| Vec::new()).collect();
    for decider in deciders {
        decider.block(&mut Vec::new());
    }
    for _ in 0..blocks {
        for (decider, took) in deciders.iter().zip(&mut all) {
            decider.block(took);
        }
    }
    all.into_iter().map(Latency::of).collect()
}

fn feed(engine: &Engine, signatory: &Signatory, chain: &[Statement]) -> Result<()> {
    let world = engine.world();
    let (root, hops) = chain.split_first().context("a chain has a root")?;
    let claims = root.claims();
    let owner_uid = claims.id.split('/').next().unwrap_or_default();
    world.put_owner(OwnerFacts {
        name: claims.owner.clone(),
        uid: owner_uid.to_owned(),
        kind: "Person".to_owned(),
        active: true,
        grants: claims.grants.clone(),
        users: Vec::new(),
    });
    world.put_trust_domain(TrustDomainFacts {
        name: claims.issuer.as_str().to_owned(),
        bundle: Arc::new(signatory.roots()),
        keys: Arc::new(signatory.keys()?),
    });
    let identity_uid = |it: &Statement| {
        let id = it.claims().subject.as_str();
        id.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let mut above: Option<&Statement> = None;
    for (place, hop) in (2..).zip(hops) {
        let own = hop.claims();
        world.put_identity(identity(hop, &identity_uid(hop))?);
        let statements = chain.iter().take(place).map(|it| it.compact().to_owned());
        world.put_hop(HopFacts {
            uid: own.id.clone(),
            namespace: "finance".to_owned(),
            name: format!("hop-{}", own.depth),
            digest: *hop.digest(),
            parent_uid: above.map(|it| it.claims().id.clone()),
            delegator_uid: above.map(identity_uid),
            delegate_uid: identity_uid(hop),
            root_owner: (own.owner.clone(), owner_uid.to_owned()),
            root_requester: own.requester.clone(),
            state: HopState::Active,
            expires: own.expires_at,
            statements: statements.collect(),
        });
        above = Some(hop);
    }
    world.set_rules(Rules {
        resources: vec![ResourceRule {
            pattern: "ledger/*".to_owned(),
            sensitivity: DataClass::Internal,
            residency: Vec::new(),
        }],
        ..Rules::default()
    });
    world.set_freshness(Freshness::Fresh);
    Ok(())
}

fn identity(hop: &Statement, identity_uid: &str) -> Result<IdentityFacts> {
    let claims = hop.claims();
    let task = claims.task.as_ref().context("an agent has a task")?;
    Ok(IdentityFacts {
        uid: identity_uid.to_owned(),
        namespace: task.namespace.clone(),
        name: format!("invoice-reader-{}", claims.depth),
        spiffe_id: claims.subject.as_str().to_owned(),
        trust_domain: claims.issuer.as_str().to_owned(),
        owner: claims.owner.clone(),
        task: format!("{}.{}/{}", task.resource, task.group, task.name),
        requester: claims.requester.clone(),
        grants: claims.grants.clone(),
        attributes: Default::default(),
        state: IdentityState::Active,
        certificate: Some(CurrentCertificate {
            serial_number: serial(claims.depth.into()),
            not_after: verified_at()? + SignedDuration::from_hours(1),
        }),
        in_pods: None,
        deadline: None,
    })
}

fn set(policies: usize) -> Result<PolicySet> {
    // Those that decide are of the namespace that the chain's agents are in.
    let here = |text: &str| text.replace("\"agents\"", "\"finance\"");
    let named = |(id, text): &(&str, &str)| (format!("{id}-0"), here(text));
    let mut sources = vec![
        source(Scope::Cluster, "guard", GUARDS.iter().map(named).collect()),
        source(finance(), "ledger", PERMITS.iter().map(named).collect()),
    ];
    let more: Vec<usize> = (GUARDS.len() + PERMITS.len()..policies).collect();
    for (number, part) in more.chunks(POLICIES_EACH).enumerate() {
        let scope = match number % 2 {
            0 => Scope::Namespace(format!("team-{number}")),
            _ => finance(),
        };
        let texts = part
            .iter()
            .map(|it| (format!("p-{it}"), other(&scope, *it)));
        sources.push(source(
            scope.clone(),
            &format!("object-{number}"),
            texts.collect(),
        ));
    }
    let compiled = sources
        .iter()
        .map(|it| compile(it).map_err(|problems| anyhow!("{}: {problems:?}", it.name)));
    let compiled: Vec<_> = compiled.collect::<Result<_>>()?;
    let set = PolicySet::of(compiled);
    ensure!(
        set.len() == policies,
        "{} policies instead of {policies}",
        set.len()
    );
    Ok(set)
}

/// A permit, or every fourth a forbid, that isn't about the question.
fn other(scope: &Scope, number: usize) -> String {
    let namespace = match scope {
        Scope::Namespace(name) => name,
        Scope::Cluster => "finance",
    };
    let effect = if number.is_multiple_of(4) {
        "forbid"
    } else {
        "permit"
    };
    let on = match number % 3 {
        0 => format!(
            "principal == Countersign::Agent::\"spiffe://example.org/ns/x/{}\", action, resource",
            uid(number)
        ),
        1 => format!(
            "principal in Countersign::Namespace::\"{namespace}\", action == Countersign::Action::\"read\", resource in Countersign::Collection::\"books-{number}\""
        ),
        _ => format!(
            "principal in Countersign::Namespace::\"{namespace}\", action, resource == Countersign::Resource::\"ledger/page-{number}\""
        ),
    };
    format!("{effect} ({on}) when {{ resource.sensitivity <= 2 && context.signals.risk < 50 }};")
}

fn finance() -> Scope {
    Scope::Namespace("finance".to_owned())
}

fn source(scope: Scope, name: &str, texts: Vec<(String, String)>) -> PolicySource {
    let policies = texts.into_iter().map(|(id, cedar)| PolicyText {
        id,
        cedar,
        obligations: Vec::new(),
    });
    PolicySource {
        scope,
        name: name.to_owned(),
        mode: Mode::Enforce,
        policies: policies.collect(),
        tests: Vec::new(),
    }
}

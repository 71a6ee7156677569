//! A real engine with a few agents and policies, asked at one moment.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use countersign_authority::Bundle;
use countersign_core::{Constraints, Grant};
use countersign_decision::{
    Answer, Caller, Changes, CurrentCertificate, DecisionPoint, Engine, Feed, Found, Freshness,
    IdentityFacts, IdentityState, OwnerFacts, Question, Reason, Search, Signals, TrustDomainFacts,
    World,
};
use countersign_policy::{Mode, PolicySet, PolicySource, PolicyText, Scope, compile};
use countersign_statement::TrustedKeys;
use jiff::Timestamp;

use crate::client::Client;

const DOMAIN: &str = "example.org";
/// Where all agents are.
pub(crate) const NAMESPACE: &str = "scenario";

/// An agent: its id, and what it claims.
pub(crate) type Agent<'a> = (&'a str, &'a [(&'a str, &'a str)]);

/// An API over a real engine: these agents hold these actions on these resources, as far as the
/// policies permit.
pub(crate) fn client(
    agents: &[Agent<'_>],
    actions: &[&str],
    resources: &[&str],
    policies: &[String],
) -> Client {
    let world = Arc::new(World::new());
    let grants = vec![Grant {
        actions: actions.iter().map(|it| (*it).to_owned()).collect(),
        resources: resources.iter().map(|it| (*it).to_owned()).collect(),
        constraints: Constraints::default(),
    }];
    world.put_trust_domain(TrustDomainFacts {
        name: DOMAIN.to_owned(),
        bundle: Arc::new(Bundle::new(1, [])),
        keys: Arc::new(TrustedKeys::from_bundle_json(DOMAIN, r#"{"keys":[]}"#).unwrap()),
    });
    world.put_owner(OwnerFacts {
        name: "everyone".to_owned(),
        uid: "owner".to_owned(),
        kind: "BusinessUnit".to_owned(),
        active: true,
        users: Vec::new(),
        grants: grants.clone(),
    });
    for (id, claims) in agents {
        world.put_identity(identity(id, claims, grants.clone()));
    }
    let texts = policies.iter().enumerate();
    let source = PolicySource {
        scope: Scope::Namespace(NAMESPACE.to_owned()),
        name: "rules".to_owned(),
        mode: Mode::Enforce,
        policies: texts
            .map(|(number, cedar)| PolicyText {
                id: format!("p{number}"),
                cedar: cedar.clone(),
                obligations: Vec::new(),
            })
            .collect(),
        tests: Vec::new(),
    };
    let compiled = compile(&source).unwrap_or_else(|problems| panic!("{problems:?}"));
    world.set_policies(Arc::new(PolicySet::of([compiled])));
    world.set_freshness(Freshness::Fresh);
    Client::new(Arc::new(Embedded {
        engine: Engine::new(world, Arc::new(Signals::new())),
        now: now(),
    }))
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn identity(id: &str, claims: &[(&str, &str)], grants: Vec<Grant>) -> IdentityFacts {
    let claims = claims
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    IdentityFacts {
        uid: format!("uid-{id}"),
        namespace: NAMESPACE.to_owned(),
        name: format!("name-{id}"),
        spiffe_id: id.to_owned(),
        trust_domain: DOMAIN.to_owned(),
        owner: "everyone".to_owned(),
        task: "jobs.batch/scenario".to_owned(),
        requester: None,
        grants,
        attributes: claims.collect::<BTreeMap<_, _>>(),
        state: IdentityState::Active,
        certificate: Some(CurrentCertificate {
            serial_number: "01".to_owned(),
            not_after: "2026-11-24T13:00:00Z".parse().unwrap(),
        }),
        in_pods: None,
        deadline: None,
    }
}

struct Embedded {
    engine: Engine,
    now: Timestamp,
}

impl DecisionPoint for Embedded {
    fn decide<'a>(
        &'a self,
        caller: &'a Caller,
        question: Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(ready(self.engine.decide(caller, &question, self.now)))
    }

    fn refuse(&self, _: &Caller, _: &Question, why: &str) -> Answer {
        Answer::denied(Reason::BadRequest, why, self.now)
    }

    fn search<'a>(
        &'a self,
        caller: &'a Caller,
        search: Search,
    ) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>> {
        Box::pin(ready(self.engine.search(caller, &search, self.now)))
    }

    fn changes(&self) -> Changes {
        Box::pin(futures::stream::empty())
    }
}

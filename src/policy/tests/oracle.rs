//! The indexed engine answers exactly as plain Cedar does over the full set, but for the rule that a
//! forbid that fails denies.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use cedar_policy::{Request as CedarRequest, Schema};
use proptest::prelude::*;

use super::drafts::{asked, objects, source};
use super::fixture::good;
use super::plain;
use crate::{Kind, Mode, PolicyName, PolicySet, PreparedAgent, Request, SCHEMA};

fn as_text(names: &[PolicyName]) -> Vec<&str> {
    names.iter().map(PolicyName::as_str).collect()
}

fn sorted(names: &BTreeSet<String>) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn the_indexed_engine_answers_as_plain_cedar_over_the_full_set(
        objects in objects(),
        requests in prop::collection::vec(asked(), 1..6),
    ) {
        let schema = Schema::from_str(SCHEMA).unwrap();
        let engine = PolicySet::of(objects.iter().enumerate().map(|(number, it)| good(&source(number, it))));
        let enforced = plain::policies(&objects, Mode::Enforce);
        let audited = plain::policies(&objects, Mode::Audit);
        prop_assert_eq!(engine.len(), enforced.num_of_policies() + audited.num_of_policies());
        for (agents, action, resource, context) in &requests {
            let prepared = Request::prepare(action, resource, context);
            let known = ["read", "write"].contains(action);
            for agent in agents {
                let request = CedarRequest::new(
                    plain::uid("Agent", &agent.spiffe_id),
                    plain::uid("Action", if known { action } else { "other" }),
                    plain::uid("Resource", &resource.path),
                    plain::context(context, action),
                    Some(&schema),
                )
                .unwrap();
                let entities = plain::entities(agent, resource, context, &schema);
                let said = plain::answer(&enforced, &request, &entities);
                let (kind, policies) = if !said.allowed && !said.reason.is_empty() {
                    (Kind::Forbidden, said.reason)
                } else if !said.failed_forbids.is_empty() {
                    (Kind::Failed, said.failed_forbids)
                } else if said.allowed {
                    (Kind::Permitted, said.reason)
                } else {
                    (Kind::NoPermit, BTreeSet::new())
                };
                let verdict = prepared.evaluate(&engine, &PreparedAgent::of(agent));
                prop_assert_eq!(verdict.kind, kind);
                prop_assert_eq!(verdict.allowed, kind == Kind::Permitted);
                prop_assert_eq!(as_text(&verdict.policies), sorted(&policies));
                prop_assert_eq!(as_text(&verdict.failed), sorted(&said.failed));
                let mut would_deny = plain::answer(&audited, &request, &entities);
                if would_deny.allowed {
                    would_deny.reason.clear();
                }
                would_deny.reason.append(&mut would_deny.failed_forbids);
                prop_assert_eq!(as_text(&verdict.would_deny), sorted(&would_deny.reason));
            }
        }
    }
}

/// Few where every build runs them; `PROPTEST_CASES` for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or(32)
}

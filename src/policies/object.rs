//! What both kinds have in common.

use countersign_api as api;
use countersign_api::{AgentPolicy, ClusterAgentPolicy};
use countersign_policy::{PolicySource, Scope};
use kube::ResourceExt as _;

use crate::rules::ObjectRules;
use crate::source;

/// An object with policies.
pub trait PolicyObject: kube::Resource {
    /// What its spec says, to be compiled.
    fn source(&self) -> PolicySource;

    /// What its spec sets beside policies; `None` for a kind that sets nothing.
    fn rules(&self) -> Option<ObjectRules>;

    /// What counted last, as its status tells: the generation, the policies without tests, which
    /// they have passed, and the rules.
    fn before(&self) -> Option<(i64, PolicySource, Option<ObjectRules>)>;
}

impl PolicyObject for AgentPolicy {
    fn source(&self) -> PolicySource {
        let spec = &self.spec;
        let namespace = self.namespace().unwrap_or_default();
        PolicySource {
            tests: source::tests(&spec.tests, &namespace),
            ..policies(self, spec.mode, &spec.policies)
        }
    }

    fn rules(&self) -> Option<ObjectRules> {
        None
    }

    fn before(&self) -> Option<(i64, PolicySource, Option<ObjectRules>)> {
        let before = self.status.as_ref()?.in_effect.as_ref()?;
        let source = policies(self, before.mode, &before.policies);
        Some((before.generation, source, None))
    }
}

impl PolicyObject for ClusterAgentPolicy {
    fn source(&self) -> PolicySource {
        let spec = &self.spec;
        PolicySource {
            tests: source::tests(&spec.tests, ""),
            ..policies(self, spec.mode, &spec.policies)
        }
    }

    fn rules(&self) -> Option<ObjectRules> {
        let spec = &self.spec;
        Some(ObjectRules::of(
            &spec.resources,
            spec.risk.as_ref(),
            spec.record_first,
            spec.on_stale,
        ))
    }

    fn before(&self) -> Option<(i64, PolicySource, Option<ObjectRules>)> {
        let before = self.status.as_ref()?.in_effect.as_ref()?;
        let source = policies(self, before.mode, &before.policies);
        let rules = ObjectRules::of(
            &before.resources,
            before.risk.as_ref(),
            before.record_first,
            before.on_stale,
        );
        Some((before.generation, source, Some(rules)))
    }
}

/// Policies of an object, without tests.
fn policies(
    object: &impl kube::Resource,
    mode: api::PolicyMode,
    policies: &[api::Policy],
) -> PolicySource {
    PolicySource {
        scope: object.namespace().map_or(Scope::Cluster, Scope::Namespace),
        name: object.name_any(),
        mode: source::mode(mode),
        policies: source::policies(policies),
        tests: Vec::new(),
    }
}

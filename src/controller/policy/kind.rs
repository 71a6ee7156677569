//! What the two kinds have in common for the operator.

use std::fmt::Debug;

use countersign_api::{
    AgentPolicy, AgentPolicyStatus, ClusterAgentPolicy, ClusterAgentPolicyStatus,
    ClusterPoliciesInEffect, PoliciesInEffect, PolicyMode,
};
use countersign_policies::PolicyObject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Policies;
use crate::context::Context;

/// A kind of objects with policies.
pub(crate) trait Kind:
    PolicyObject<DynamicType = ()>
    + Clone
    + Debug
    + PartialEq
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// What its status holds of what counts.
    type InEffect: Clone + PartialEq + Debug;
    /// Its status.
    type Status: Serialize + PartialEq + Debug;

    /// The objects of this kind that are known.
    fn all(ctx: &Context) -> &Policies<Self>;
    fn api(client: kube::Client, namespace: &str) -> Api<Self>;

    fn mode(&self) -> PolicyMode;
    fn policies(&self) -> usize;
    fn status(&self) -> Option<&Self::Status>;
    fn conditions(&self) -> &[Condition];
    /// What counts, as its status tells.
    fn in_effect(&self) -> Option<&Self::InEffect>;
    /// Its spec, as what counts.
    fn spec_in_effect(&self, digest: &str) -> Self::InEffect;
    /// The generation of what counts.
    fn generation(in_effect: &Self::InEffect) -> i64;
    fn new_status(
        generation: i64,
        in_effect: Option<Self::InEffect>,
        conditions: Vec<Condition>,
    ) -> Self::Status;
}

impl Kind for AgentPolicy {
    type InEffect = PoliciesInEffect;
    type Status = AgentPolicyStatus;

    fn all(ctx: &Context) -> &Policies<Self> {
        &ctx.agent_policies
    }

    fn api(client: kube::Client, namespace: &str) -> Api<Self> {
        Api::namespaced(client, namespace)
    }

    fn mode(&self) -> PolicyMode {
        self.spec.mode
    }

    fn policies(&self) -> usize {
        self.spec.policies.len()
    }

    fn status(&self) -> Option<&AgentPolicyStatus> {
        self.status.as_ref()
    }

    fn conditions(&self) -> &[Condition] {
        let status = self.status.as_ref();
        status.map_or(&[], |status| &status.conditions)
    }

    fn in_effect(&self) -> Option<&PoliciesInEffect> {
        self.status.as_ref()?.in_effect.as_ref()
    }

    fn spec_in_effect(&self, digest: &str) -> PoliciesInEffect {
        PoliciesInEffect {
            generation: self.metadata.generation.unwrap_or_default(),
            digest: digest.to_owned(),
            mode: self.spec.mode,
            policies: self.spec.policies.clone(),
        }
    }

    fn generation(in_effect: &PoliciesInEffect) -> i64 {
        in_effect.generation
    }

    fn new_status(
        generation: i64,
        in_effect: Option<PoliciesInEffect>,
        conditions: Vec<Condition>,
    ) -> AgentPolicyStatus {
        AgentPolicyStatus {
            observed_generation: Some(generation),
            in_effect,
            conditions,
        }
    }
}

impl Kind for ClusterAgentPolicy {
    type InEffect = ClusterPoliciesInEffect;
    type Status = ClusterAgentPolicyStatus;

    fn all(ctx: &Context) -> &Policies<Self> {
        &ctx.cluster_agent_policies
    }

    fn api(client: kube::Client, _: &str) -> Api<Self> {
        Api::all(client)
    }

    fn mode(&self) -> PolicyMode {
        self.spec.mode
    }

    fn policies(&self) -> usize {
        self.spec.policies.len()
    }

    fn status(&self) -> Option<&ClusterAgentPolicyStatus> {
        self.status.as_ref()
    }

    fn conditions(&self) -> &[Condition] {
        let status = self.status.as_ref();
        status.map_or(&[], |status| &status.conditions)
    }

    fn in_effect(&self) -> Option<&ClusterPoliciesInEffect> {
        self.status.as_ref()?.in_effect.as_ref()
    }

    fn spec_in_effect(&self, digest: &str) -> ClusterPoliciesInEffect {
        let spec = &self.spec;
        ClusterPoliciesInEffect {
            generation: self.metadata.generation.unwrap_or_default(),
            digest: digest.to_owned(),
            mode: spec.mode,
            policies: spec.policies.clone(),
            resources: spec.resources.clone(),
            risk: spec.risk.clone(),
            record_first: spec.record_first,
            on_stale: spec.on_stale,
        }
    }

    fn generation(in_effect: &ClusterPoliciesInEffect) -> i64 {
        in_effect.generation
    }

    fn new_status(
        generation: i64,
        in_effect: Option<ClusterPoliciesInEffect>,
        conditions: Vec<Condition>,
    ) -> ClusterAgentPolicyStatus {
        ClusterAgentPolicyStatus {
            observed_generation: Some(generation),
            in_effect,
            conditions,
        }
    }
}

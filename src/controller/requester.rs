//! Asks the API server's own authorizer what a requester may do.

use std::collections::HashMap;
use std::time::Duration;

use countersign_core::Requester;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use crate::identity::Admits;

/// An answer is used again for so long: a burst of identities of one requester asks once.
const FRESH: Duration = Duration::from_secs(30);
/// No answer within this is none.
const LIMIT: Duration = Duration::from_secs(5);
/// Beyond so many remembered answers the old ones are dropped.
const MANY: usize = 10_000;

/// Answers to "may this requester do that?".
pub(crate) struct Reviews {
    client: Client,
    answers: Mutex<HashMap<(Requester, Act), (Instant, bool)>>,
}

/// What somebody may or may not do, as RBAC has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Act {
    /// Verb `bind` on `agentowners/<name>`.
    Bind { owner: String },
    /// Verb `delegate` on `agentidentities/<name>`.
    Delegate { namespace: String, agent: String },
}

impl Reviews {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            answers: Mutex::default(),
        }
    }

    /// Does `requester` hold verb `bind` on `agentowners/<owner>`?
    pub(crate) async fn may_bind(&self, requester: &Requester, owner: &str) -> Admits {
        let owner = owner.to_owned();
        self.may(requester, Act::Bind { owner }).await
    }

    /// Does `requester` hold verb `delegate` on `agentidentities/<agent>`?
    pub(crate) async fn may_delegate(
        &self,
        requester: &Requester,
        namespace: &str,
        agent: &str,
    ) -> Admits {
        let act = Act::Delegate {
            namespace: namespace.to_owned(),
            agent: agent.to_owned(),
        };
        self.may(requester, act).await
    }

    async fn may(&self, requester: &Requester, act: Act) -> Admits {
        let key = (requester.clone(), act);
        let remembered = self.answers.lock().get(&key).copied();
        if let Some((at, allowed)) = remembered
            && at.elapsed() < FRESH
        {
            return verdict(allowed);
        }
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let review = review(requester, &key.1);
        match timeout(LIMIT, reviews.create(&PostParams::default(), &review)).await {
            Ok(Ok(answer)) => {
                let allowed = answer.status.is_some_and(|status| status.allowed);
                let mut answers = self.answers.lock();
                if answers.len() > MANY {
                    answers.retain(|_, (at, _)| at.elapsed() < FRESH);
                }
                answers.insert(key, (Instant::now(), allowed));
                verdict(allowed)
            }
            Ok(Err(why)) => Admits::Unknown(why.to_string()),
            Err(_) => Admits::Unknown("no answer in time".to_owned()),
        }
    }
}

fn verdict(allowed: bool) -> Admits {
    if allowed { Admits::Yes } else { Admits::No }
}

fn review(requester: &Requester, act: &Act) -> SubjectAccessReview {
    let (resource, namespace, name, verb) = match act {
        Act::Bind { owner } => ("agentowners", None, owner, "bind"),
        Act::Delegate { namespace, agent } => {
            ("agentidentities", Some(namespace), agent, "delegate")
        }
    };
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(requester.username.clone()),
            uid: requester.uid.clone(),
            groups: Some(requester.groups.clone()),
            resource_attributes: Some(ResourceAttributes {
                group: Some("countersign.dev".to_owned()),
                resource: Some(resource.to_owned()),
                namespace: namespace.cloned(),
                name: Some(name.clone()),
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}

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

/// Answers to "may this requester name this owner?".
pub(crate) struct Binders {
    client: Client,
    answers: Mutex<HashMap<(Requester, String), (Instant, bool)>>,
}

impl Binders {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            answers: Mutex::default(),
        }
    }

    /// Does `requester` hold verb `bind` on `agentowners/<owner>`?
    pub(crate) async fn may_bind(&self, requester: &Requester, owner: &str) -> Admits {
        let key = (requester.clone(), owner.to_owned());
        let remembered = self.answers.lock().get(&key).copied();
        if let Some((at, allowed)) = remembered
            && at.elapsed() < FRESH
        {
            return verdict(allowed);
        }
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let review = review(requester, owner);
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

fn review(requester: &Requester, owner: &str) -> SubjectAccessReview {
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(requester.username.clone()),
            uid: requester.uid.clone(),
            groups: Some(requester.groups.clone()),
            resource_attributes: Some(ResourceAttributes {
                group: Some("countersign.dev".to_owned()),
                resource: Some("agentowners".to_owned()),
                name: Some(owner.to_owned()),
                verb: Some("bind".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}

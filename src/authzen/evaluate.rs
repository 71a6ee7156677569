//! One evaluation, and many.

use countersign_decision::{Caller, DecisionPoint};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::Outcome;
use crate::json::{Request, Said};
use crate::mapping::Asked;
use crate::refused::Refused;

/// The most evaluations of a batch under way at once: those that wait to be on record first wait
/// together, and a batch still leaves room for others.
const AT_ONCE: usize = 32;

/// Who asks, and of whom.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'r> {
    pub(crate) point: &'r dyn DecisionPoint,
    pub(crate) caller: &'r Caller,
    pub(crate) request_id: Option<&'r str>,
}

/// The answer to many.
#[derive(Serialize)]
pub(crate) struct Outcomes {
    evaluations: Vec<Outcome>,
}

/// When a batch ends (AuthZEN 1.0, evaluations semantics).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// With the last.
    TheEnd,
    /// With the first that comes out so.
    Decision(bool),
}

impl Asking<'_> {
    /// The whole request as one evaluation.
    ///
    /// # Errors
    /// It can't be read, or the caller may not ask it.
    pub(crate) async fn one(self, request: &Request<'_>) -> Result<Outcome, Refused> {
        let question = Asked::whole(request).question(self.request_id)?;
        let answer = self.point.decide(self.caller, question).await;
        match Outcome::of(answer) {
            Outcome::Refused(why) => Err(why),
            decided => Ok(decided),
        }
    }

    /// The evaluations of a batch, in their order, as far as its semantic goes.
    ///
    /// # Errors
    /// What all of them have in common can't be read.
    pub(crate) async fn many(
        self,
        request: &Request<'_>,
        evaluations: &[&RawValue],
    ) -> Result<Outcomes, Refused> {
        // A default of the wrong type is nobody's own mistake.
        request.subject.optional("subject")?;
        request.action.optional("action")?;
        request.resource.optional("resource")?;
        request.context.optional("context")?;
        let evaluations = match until(request)? {
            Until::TheEnd => self.all(request, evaluations).await,
            Until::Decision(last) => self.until(request, evaluations, last).await,
        };
        Ok(Outcomes { evaluations })
    }

    async fn all(self, default: &Request<'_>, evaluations: &[&RawValue]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(evaluations.len());
        let mut waiting = evaluations.iter();
        let mut running = FuturesOrdered::new();
        loop {
            while running.len() < AT_ONCE
                && let Some(evaluation) = waiting.next()
            {
                running.push_back(self.evaluation(default, evaluation));
            }
            let Some(outcome) = running.next().await else {
                return outcomes;
            };
            outcomes.push(outcome);
            breathe(outcomes.len()).await;
        }
    }

    async fn until(
        self,
        default: &Request<'_>,
        evaluations: &[&RawValue],
        last: bool,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for evaluation in evaluations {
            let outcome = self.evaluation(default, evaluation).await;
            let ends = outcome.allowed() == last;
            outcomes.push(outcome);
            if ends {
                break;
            }
            breathe(outcomes.len()).await;
        }
        outcomes
    }

    async fn evaluation(self, default: &Request<'_>, evaluation: &RawValue) -> Outcome {
        let own = serde_json::from_str::<Said<Request<'_>>>(evaluation.get());
        let question = own.map_err(|why| Refused::not_json(&why)).and_then(|own| {
            let asked = Asked {
                own: own.required("each of evaluations")?,
                default: Some(default),
            };
            asked.question(self.request_id)
        });
        match question {
            Ok(question) => Outcome::of(self.point.decide(self.caller, question).await),
            Err(why) => Outcome::Refused(why),
        }
    }
}

/// Decisions need no waiting, so a long batch would keep its thread from everything else.
async fn breathe(done: usize) {
    if done.is_multiple_of(AT_ONCE) {
        tokio::task::yield_now().await;
    }
}

fn until(request: &Request<'_>) -> Result<Until, Refused> {
    const AT: &str = "options.evaluations_semantic";
    let Some(options) = request.options.optional("options")? else {
        return Ok(Until::TheEnd);
    };
    match options.evaluations_semantic.optional(AT)?.map(|it| &**it) {
        None | Some("execute_all") => Ok(Until::TheEnd),
        Some("deny_on_first_deny") => Ok(Until::Decision(false)),
        Some("permit_on_first_permit") => Ok(Until::Decision(true)),
        Some(_) => Err(Refused::bad(format!(
            "{AT} must be execute_all, deny_on_first_deny or permit_on_first_permit"
        ))),
    }
}

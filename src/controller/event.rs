//! Events for people: only where something went wrong, because each is a write.

use countersign_api as api;
use kube::Resource as _;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::debug;

use crate::condition::is_true;
use crate::write::Gate;

/// The longest note that the API server takes, in bytes (events.k8s.io/v1).
const MAX_NOTE_BYTES: usize = 1024;

/// Publishes events. What fails is logged and forgotten: a pass never fails for its event.
#[derive(Clone)]
pub(crate) struct Events {
    recorder: Recorder,
    gate: Gate,
}

impl Events {
    pub(crate) fn new(client: kube::Client, gate: Gate) -> Self {
        let reporter = Reporter {
            controller: "countersign.dev/operator".to_owned(),
            instance: std::env::var("POD_NAME").ok(),
        };
        Self {
            recorder: Recorder::new(client, reporter),
            gate,
        }
    }

    /// Tells of a refusal that wasn't there before.
    pub(crate) async fn refused(
        &self,
        before: Option<&api::AgentIdentityStatus>,
        object: &api::AgentIdentity,
        after: &api::AgentIdentityStatus,
    ) {
        let Some(stalled) = after.conditions.iter().find(|it| it.type_ == "Stalled") else {
            return;
        };
        let known = before.is_some_and(|status| {
            is_true(&status.conditions, "Stalled")
                && status
                    .conditions
                    .iter()
                    .any(|it| it.type_ == "Stalled" && it.reason == stalled.reason)
        });
        if known {
            return;
        }
        let event = Event {
            type_: EventType::Warning,
            reason: stalled.reason.clone(),
            note: Some(shortened(&stalled.message)),
            action: "Issue".to_owned(),
            secondary: None,
        };
        let object = object.object_ref(&());
        if let Err(why) = self.gate.run(self.recorder.publish(&event, &object)).await {
            debug!("can't publish an event: {why}");
        }
    }
}

fn shortened(note: &str) -> String {
    let mut end = note.len().min(MAX_NOTE_BYTES);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.get(..end).unwrap_or_default().to_owned()
}

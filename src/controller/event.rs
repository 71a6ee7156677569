//! Events for people: only where something went wrong, because each is a write.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
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

    /// Tells of a refusal that wasn't there before: `action` is what was refused.
    pub(crate) async fn refused(
        &self,
        before: &[Condition],
        object: ObjectReference,
        after: &[Condition],
        action: &str,
    ) {
        let Some(stalled) = after.iter().find(|it| it.type_ == "Stalled") else {
            return;
        };
        let known = is_true(before, "Stalled")
            && before
                .iter()
                .any(|it| it.type_ == "Stalled" && it.reason == stalled.reason);
        if known {
            return;
        }
        let event = Event {
            type_: EventType::Warning,
            reason: stalled.reason.clone(),
            note: Some(shortened(&stalled.message)),
            action: action.to_owned(),
            secondary: None,
        };
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

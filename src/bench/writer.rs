//! Who writes: a user whose identities the operator issues, or a plain writer that does all the
//! writes itself.

use std::time::Instant;

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::bed::Bed;
use crate::objects::{Delivery, Task, identities, identity, secrets};
use crate::shape::Shape;
use crate::sight::Sight;

/// How identities come to be Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// The harness makes all writes: what the API server allows.
    Plain,
    /// The harness creates the identity, the operator does the rest.
    Live,
}

/// One identity's way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    /// When the create call was sent.
    pub(crate) sent: Instant,
    /// When a watch showed `Ready=True`.
    pub(crate) ready: Instant,
}

/// Makes identities of one delivery on one bed.
pub(crate) struct Writer<'a> {
    pub(crate) bed: &'a Bed,
    pub(crate) shape: &'a Shape,
    pub(crate) half: Half,
    pub(crate) delivery: Delivery,
}

impl Writer<'_> {
    /// One identity, until a watch shows it Ready.
    pub(crate) async fn make(&self, sight: &Sight, task: &Task) -> Result<Made> {
        let awaited = sight.expect(&task.name);
        let sent = Instant::now();
        self.write(task).await?;
        let ready = awaited.seen().await?;
        Ok(Made { sent, ready })
    }

    /// A closed loop: so many identities are on their way at any time.
    pub(crate) async fn keep_going(&self, tasks: &[Task], window: usize) -> Result<Vec<Made>> {
        let sight = Sight::ready(self.bed.api()).await?;
        stream::iter(tasks)
            .map(|task| self.make(&sight, task))
            .buffer_unordered(window)
            .try_collect()
            .await
    }

    /// All at once over so many connections: the next is sent when one was answered, Ready or not.
    pub(crate) async fn burst(&self, tasks: &[Task], connections: usize) -> Result<Vec<Made>> {
        let sight = Sight::ready(self.bed.api()).await?;
        let awaited: Vec<_> = tasks.iter().map(|it| sight.expect(&it.name)).collect();
        let sent: Vec<Instant> = stream::iter(tasks)
            .map(async |task| {
                let sent = Instant::now();
                self.write(task).await.map(|()| sent)
            })
            .buffered(connections)
            .try_collect()
            .await?;
        let mut made = Vec::new();
        for (sent, awaited) in sent.into_iter().zip(awaited) {
            let ready = awaited.seen().await?;
            made.push(Made { sent, ready });
        }
        Ok(made)
    }

    async fn write(&self, task: &Task) -> Result<()> {
        let api = self.bed.api();
        let object = identity(&task.name, self.delivery, self.shape.csr());
        api.create(&identities(), &object).await?;
        if self.half == Half::Live {
            return Ok(());
        }
        if self.delivery == Delivery::Secret {
            api.create(&secrets(), &self.shape.secret(task)).await?;
        }
        let path = format!("{}/{}/status", identities(), task.name);
        api.patch(&path, &self.shape.status(self.delivery)).await
    }
}

/// From the first call sent to the last seen Ready, in seconds.
pub(crate) fn span(made: &[Made]) -> f64 {
    let first = made.iter().map(|it| it.sent).min();
    let last = made.iter().map(|it| it.ready).max();
    match (first, last) {
        (Some(first), Some(last)) => last.duration_since(first).as_secs_f64(),
        _ => 0.0,
    }
}

/// Names that sort and have the same length each.
pub(crate) fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|it| format!("{prefix}-{it:06}")).collect()
}

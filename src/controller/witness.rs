//! Chains of the audit log that others write, signed by the leader: decision points hold no key of any
//! trust domain, and without a checkpoint the end of what they record could be cut off unseen.
//!
//! ```text
//!  decision points ──▶ chains in the same store ──▶ a look every few seconds ──▶ checkpoints ──▶ ConfigMap
//! ```
//!
//! A chain that was cut off or rewritten is not signed any further, and is told of; grants go on. The
//! operator's own chains do stop them, for what is about to be granted would be recorded behind a lie.
//! Here nothing that is granted rests on what was decided. Were grants to wait for it, a single row
//! that somebody changed in the log of decisions, which more programs may write than the operator's,
//! would end the renewal of every certificate: worse than what it would tell of, and the checkpoint
//! that finds it out is published and stays.

use std::collections::BTreeSet;
use std::time::Duration;

use countersign_audit::{Standing, Witnessed};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::context::Context;

/// How often it is looked: what is cut off in between isn't noticed.
const EVERY: Duration = Duration::from_secs(3);
/// When there is more than one look reads.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Records of a chain in one look, a fraction of a second's work.
const MOST: u64 = 10_000;

/// Looks for as long as it leads. Never returns.
pub(crate) async fn follow(ctx: &Context) {
    let mut witness = ctx.audit.log().witness();
    let mut told = Told::default();
    let mut wait = EVERY;
    loop {
        sleep(wait).await;
        wait = EVERY;
        // Nothing is signed before it is known how far the chains had come.
        if !ctx.gate.leads() || !ctx.audit.is_recalled() {
            ctx.metrics.witnessed(&[]);
            ctx.metrics.unwitnessed(false);
            told = Told::default();
            continue;
        }
        match witness.look(MOST).await {
            Ok(found) => {
                ctx.metrics.witnessed(&found);
                ctx.metrics.unwitnessed(false);
                told.tell(&found);
                if found.iter().any(|it| it.standing == Standing::Behind) {
                    wait = AT_ONCE;
                }
            }
            // Loud, since the log's own health doesn't tell of it, and whoever may write to the store
            // could have made it so, to have the end of a chain for himself.
            Err(why) => {
                ctx.metrics.witnessed(&[]);
                ctx.metrics.unwitnessed(true);
                told.blind(&why.to_string());
            }
        }
    }
}

/// What was said of chains, lest it is said again and again.
#[derive(Debug, Default)]
struct Told {
    refused: BTreeSet<String>,
    blind: bool,
}

impl Told {
    fn blind(&mut self, why: &str) {
        if !std::mem::replace(&mut self.blind, true) {
            warn!("what others record can't be looked at, and is not signed: {why}");
        }
    }

    fn tell(&mut self, found: &[Witnessed]) {
        if std::mem::take(&mut self.blind) {
            info!("what others record can be looked at again");
        }
        for it in found {
            match &it.standing {
                Standing::Refused(why) => {
                    // Once: what it says of the newest record changes with each.
                    if self.refused.insert(it.chain.clone()) {
                        warn!(
                            chain = it.chain,
                            signed = it.through,
                            "a chain of the audit log is not signed any further: {why}"
                        );
                    }
                }
                Standing::Signed | Standing::Behind | Standing::Keyless => {
                    if self.refused.remove(&it.chain) {
                        info!(chain = it.chain, "a chain of the audit log is whole again");
                    }
                }
            }
        }
    }
}

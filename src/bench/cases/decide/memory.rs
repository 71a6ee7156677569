//! What identities take in memory, measured in a process of its own: this one has held other things.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use countersign_core::{Constraints, Grant};
use countersign_decision::{
    CurrentCertificate, Engine, Feed as _, IdentityFacts, IdentityState, OwnerFacts,
};
use jiff::SignedDuration;

use super::leash::resident;
use crate::made_up::{serial, uid};
use crate::signed::verified_at;

/// What the harness is called with instead of all else.
const FLAG: &str = "--hold";

/// Owners and kinds of grants: identities share them, as agents of one template do.
const OWNERS: usize = 1000;

/// Resident bytes of a process that holds so many identities, and nothing else.
pub(super) fn held(identities: usize) -> Result<u64> {
    let own = Path::new("/proc/self/exe").canonicalize()?;
    let output = Command::new(own)
        .arg(FLAG)
        .arg(identities.to_string())
        .stderr(Stdio::inherit())
        .output()
        .context("start the harness once more")?;
    ensure!(
        output.status.success(),
        "holding identities: {}",
        output.status
    );
    let text = String::from_utf8(output.stdout)?;
    text.trim()
        .parse()
        .with_context(|| format!("bytes: {text}"))
}

/// Fills an engine, as a decision point's watches do, and prints how many bytes that takes.
pub(crate) fn hold(identities: usize) -> Result<()> {
    let engine = Engine::new(Arc::default(), Arc::default());
    for number in 0..OWNERS {
        engine.world().put_owner(OwnerFacts {
            name: format!("owner-{number}"),
            uid: uid(10_000_000 + number),
            kind: "Person".to_owned(),
            active: true,
            grants: vec![grant(number)],
            users: vec![format!("owner-{number}@example.org")],
        });
    }
    for number in 0..identities {
        engine.world().put_identity(identity(number)?);
    }
    ensure!(
        engine.world().identities() == identities,
        "some are missing"
    );
    println!("{}", resident("self")?);
    Ok(())
}

fn identity(number: usize) -> Result<IdentityFacts> {
    let team = number % OWNERS;
    let (namespace, name) = (format!("team-{team}"), format!("invoice-reader-{number}"));
    let (task, own) = (uid(2 * number), uid(2 * number + 1));
    Ok(IdentityFacts {
        spiffe_id: format!("spiffe://example.org/ns/{namespace}/agent/{name}/task/{task}/{own}"),
        uid: own,
        namespace,
        task: format!("jobs.batch/{name}"),
        name,
        trust_domain: "example.org".to_owned(),
        owner: format!("owner-{team}"),
        requester: Some(format!("owner-{team}@example.org")),
        grants: vec![grant(team)],
        attributes: [("purpose".to_owned(), "reconciliation".to_owned())].into(),
        state: IdentityState::Active,
        certificate: Some(CurrentCertificate {
            serial_number: serial(number),
            not_after: verified_at()?,
        }),
        in_pods: None,
        deadline: Some(verified_at()? + SignedDuration::from_hours(1)),
    })
}

fn grant(team: usize) -> Grant {
    Grant {
        actions: vec!["list".to_owned(), "read".to_owned()],
        resources: vec![format!("ledger/team-{team}/*")],
        constraints: Constraints::default(),
    }
}

//! What an operator appends to its audit log, in stories: an owner delegates to a planner, which
//! delegates to a worker, which delegates to a reader; each gets a certificate; the reader's is
//! renewed; its task ends.

use anyhow::Result;
use countersign_audit::{DelegationRef, Entry, Kind, ObjectRef, Outcome, Requester, Task};
use countersign_core::{Constraints, Grant};
use countersign_statement::Digest;
use jiff::{SignedDuration, Timestamp};

use crate::made_up::{self, uid};

/// Records of one story.
pub(crate) const RECORDS: usize = 10;

const DOMAIN: &str = "example.org";
const AGENTS: [&str; 3] = ["planner", "worker", "invoice-reader"];

/// As many records of a trail from [`serial`] to the root: the reader's five and three delegations.
pub(crate) const TRAIL: usize = 8;

/// One record of all stories, by its number.
pub(crate) fn record(number: usize) -> Result<Entry> {
    let (story, part) = (number / RECORDS, number % RECORDS);
    match part {
        0 | 2 | 4 => granted(story, part / 2, number),
        1 | 3 | 5 => issued(story, part / 2, Kind::IdentityIssued, number),
        6..=8 => issued(story, 2, Kind::IdentityRenewed, number),
        _ => {
            let mut entry = entry(story, 2, Kind::IdentityEnded, Outcome::Ended, number)?;
            entry.spiffe_id = Some(spiffe_id(story, 2));
            entry.serial_number = Some(made_up::serial(number - 1));
            "TaskSucceeded".clone_into(&mut entry.reason);
            "its task succeeded".clone_into(&mut entry.message);
            Ok(entry)
        }
    }
}

/// The serial number of the last certificate of a story's reader.
pub(crate) fn serial(story: usize) -> String {
    made_up::serial(story * RECORDS + 8)
}

/// The SPIFFE ID of one of a story's agents.
pub(crate) fn spiffe_id(story: usize, agent: usize) -> String {
    let (name, id) = (AGENTS.get(agent).unwrap_or(&""), number(story, agent));
    format!(
        "spiffe://{DOMAIN}/ns/finance/agent/{name}/task/{}/{}",
        uid(id + 1),
        uid(id + 2)
    )
}

fn granted(story: usize, agent: usize, at: usize) -> Result<Entry> {
    let mut entry = entry(story, agent, Kind::DelegationGranted, Outcome::Allowed, at)?;
    let id = number(story, agent);
    "Delegation".clone_into(&mut entry.object.kind);
    entry.object.uid = uid(id);
    entry.spiffe_id = Some(spiffe_id(story, agent));
    let expires = entry.time + SignedDuration::from_mins(15);
    entry.not_after = Some(expires);
    entry.permissions = grants();
    entry.delegation = Some(DelegationRef {
        digest: digest(story, agent + 1),
        parent: Some(digest(story, agent)),
        root: Some(digest(story, 0)),
        depth: u8::try_from(agent)? + 1,
        uid: uid(id),
        parent_uid: agent.checked_sub(1).map(|above| uid(number(story, above))),
        expires,
        delegator: agent.checked_sub(1).map(|above| spiffe_id(story, above)),
        delegate: Some(spiffe_id(story, agent)),
    });
    "Countersigned".clone_into(&mut entry.reason);
    Ok(entry)
}

fn issued(story: usize, agent: usize, kind: Kind, at: usize) -> Result<Entry> {
    let mut entry = entry(story, agent, kind, Outcome::Allowed, at)?;
    entry.spiffe_id = Some(spiffe_id(story, agent));
    entry.serial_number = Some(made_up::serial(at));
    entry.not_after = Some(entry.time + SignedDuration::from_mins(10));
    entry.authority_id = Some("5c1f0e9a77b24d3e8a6b".to_owned());
    entry.permissions = grants();
    "Issued".clone_into(&mut entry.reason);
    Ok(entry)
}

fn entry(story: usize, agent: usize, kind: Kind, outcome: Outcome, at: usize) -> Result<Entry> {
    let id = number(story, agent);
    let name = AGENTS.get(agent).unwrap_or(&"");
    let object = ObjectRef {
        kind: "AgentIdentity".to_owned(),
        namespace: Some("finance".to_owned()),
        name: format!("{name}-{story:06}"),
        uid: uid(id + 2),
    };
    // 1 December 2026 and a millisecond more for each.
    let time = Timestamp::from_millisecond(1_796_083_200_000 + i64::try_from(at)?)?;
    let mut entry = Entry::new(time, kind, outcome, DOMAIN, object);
    entry.owner = Some("alice".to_owned());
    entry.requester = Some(Requester {
        username: "alice@example.org".to_owned(),
        uid: None,
    });
    entry.task = Some(Task {
        group: "batch".to_owned(),
        resource: "jobs".to_owned(),
        namespace: "finance".to_owned(),
        name: format!("reconcile-{story:06}"),
        uid: uid(id + 1),
    });
    Ok(entry)
}

fn grants() -> Vec<Grant> {
    vec![Grant {
        actions: vec!["read".to_owned()],
        resources: vec!["ledger/invoices/2026/11/*".to_owned()],
        constraints: Constraints::default(),
    }]
}

/// Room for three objects of each agent.
fn number(story: usize, agent: usize) -> usize {
    (story * AGENTS.len() + agent) * 3
}

fn digest(story: usize, depth: usize) -> String {
    Digest::from_bytes(made_up::digest(story * 4 + depth)).to_string()
}

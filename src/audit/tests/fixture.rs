//! A log that runs, entries for it, and somebody who signs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    AuditError, Checkpoint, CheckpointSigner, CheckpointVerifier, DelegationRef, Entry, Kind, Log,
    ObjectRef, Outcome, Reader, Report, Requester, Settings, Tampering, verify,
};

pub(super) const CHAIN: &str = "example.org/a";

/// A log and its writer.
pub(super) struct Running {
    pub(super) log: Log,
    _writer: JoinSet<()>,
}

/// Signs with a key that the database doesn't hold.
pub(super) struct Notary;

/// A database file that is gone with this.
pub(super) struct Place {
    dir: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    pub(super) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(super) fn file(&self) -> std::path::PathBuf {
        self.dir().join("audit log.db")
    }

    pub(super) fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    pub(super) async fn log(&self) -> Running {
        Running::start(settings(&self.url(), "a")).await
    }

    pub(super) async fn sql(&self, sql: &str) {
        run_sql(&self.url(), sql).await;
    }
}

impl Running {
    pub(super) async fn start(settings: Settings) -> Self {
        Self::of(Log::open(settings).await.unwrap())
    }

    pub(super) fn of(log: Log) -> Self {
        log.set_signer(Arc::new(Notary));
        Self::without_signer(log)
    }

    pub(super) fn without_signer(log: Log) -> Self {
        let mut writer = JoinSet::new();
        writer.spawn(log.run());
        Self {
            log,
            _writer: writer,
        }
    }

    /// Records `from..=to` of its chain, of 10 to a checkpoint.
    pub(super) async fn fill(&self, from: u64, to: u64) {
        for number in from..=to {
            let position = self.log.append(issued(number)).await.unwrap();
            assert_eq!(position.seq, number);
        }
    }
}

pub(super) fn settings(url: &str, writer: &str) -> Settings {
    Settings {
        checkpoint_records: 10,
        checkpoint_interval: Duration::from_secs(600),
        append_timeout: Duration::from_secs(20),
        ..Settings::new(url, writer, Arc::new(|| at(1_000_000)))
    }
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn entry(number: u64, kind: Kind) -> Entry {
    Entry::new(
        at(i64::try_from(number).unwrap()),
        kind,
        Outcome::Allowed,
        "example.org",
        ObjectRef {
            kind: "AgentIdentity".to_owned(),
            namespace: Some("finance".to_owned()),
            name: format!("agent-{number}"),
            uid: format!("uid-{number}"),
        },
    )
}

/// The issue of the certificate with serial `number`.
pub(super) fn issued(number: u64) -> Entry {
    Entry {
        spiffe_id: Some(spiffe_id(number)),
        serial_number: Some(format!("{number:x}")),
        not_after: Some(at(i64::try_from(number).unwrap() + 300)),
        owner: Some("alice".to_owned()),
        requester: Some(Requester {
            username: "alice@example.com".to_owned(),
            uid: None,
        }),
        permissions: serde_json::from_str(
            r#"[{"actions": ["read"], "resources": ["ledger/invoices/*"]}]"#,
        )
        .unwrap(),
        ..entry(number, Kind::IdentityIssued)
    }
}

/// The grant of hop `depth` of chain `chain`, to the agent with number `to`.
pub(super) fn hop(number: u64, chain: u64, depth: u8, to: u64) -> Entry {
    let digest = |depth: u8| format!("{chain}-{depth}");
    let above = depth.checked_sub(1);
    Entry {
        delegation: Some(DelegationRef {
            digest: digest(depth),
            parent: above.map(digest),
            root: above.map(|_| digest(0)),
            depth,
            uid: format!("deleg-{chain}-{depth}"),
            parent_uid: above.map(|it| format!("deleg-{chain}-{it}")),
            expires: at(i64::try_from(number).unwrap() + 900),
            delegator: above.map(|_| spiffe_id(to + 1)),
            delegate: Some(spiffe_id(to)),
        }),
        owner: Some("alice".to_owned()),
        permissions: issued(number).permissions,
        ..entry(number, Kind::DelegationGranted)
    }
}

pub(super) fn spiffe_id(number: u64) -> String {
    format!("spiffe://example.org/ns/finance/agent/{number}")
}

pub(super) async fn run_sql(url: &str, sql: &str) {
    use sqlx::Connection;
    sqlx::any::install_default_drivers();
    let url = url.replace(' ', "%20");
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

pub(super) async fn verified(url: &str, anchors: &[String]) -> Result<Report, AuditError> {
    verify(&Reader::open(url).await?, &Notary, anchors).await
}

/// What is found first in [`CHAIN`].
pub(super) async fn found(url: &str, anchors: &[String]) -> (Tampering, u64, u64) {
    let report = verified(url, anchors).await.unwrap();
    let chain = (report.chains.iter()).find(|it| it.chain == CHAIN);
    let finding = chain.and_then(|it| it.findings.first());
    let finding = finding.unwrap_or_else(|| panic!("nothing found: {report}"));
    (finding.tampering, finding.seq, finding.through)
}

fn mac(text: &str) -> String {
    hex::encode(Sha256::digest(format!(
        "a key that nobody else has: {text}"
    )))
}

impl CheckpointSigner for Notary {
    fn sign(&self, trust_domain: &str, checkpoint: &Checkpoint) -> Option<String> {
        assert!(checkpoint.chain.starts_with(&format!("{trust_domain}/")));
        let text = serde_json::to_string(checkpoint).unwrap();
        Some(format!("{}.{text}", mac(&text)))
    }
}

impl CheckpointVerifier for Notary {
    fn verify(&self, token: &str) -> Result<Checkpoint, String> {
        let (signature, text) = token.split_once('.').ok_or("no token")?;
        if signature != mac(text) {
            return Err("its signature is not good".to_owned());
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

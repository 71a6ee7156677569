//! `countersign issue` as a process of its own, and connections to it as a sidecar makes them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use countersign_authority::{Bundle, verify_svid};
use countersign_issuing::{Client, IssueX509Request};
use countersign_testbed::Unverified;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};

use crate::bed::{Bed, Programs};
use crate::cases::Leashed;
use crate::clock::now;
use crate::objects::TRUST_DOMAIN;
use crate::published::free_address;

/// Longer than it takes to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running endpoint. Ends with the value.
pub(crate) struct Issuing {
    process: Leashed,
    address: SocketAddr,
}

impl Issuing {
    /// Starts it with these arguments besides; doesn't wait for anything.
    pub(crate) fn start(programs: &Programs, bed: &Bed, arguments: &[&str]) -> Result<Self> {
        Self::start_by(&[], programs, bed, arguments)
    }

    /// As [`Self::start`], on the first core: what asks has the others.
    pub(crate) fn start_on_one_core(
        programs: &Programs,
        bed: &Bed,
        arguments: &[&str],
    ) -> Result<Self> {
        Self::start_by(&["taskset", "-c", "0"], programs, bed, arguments)
    }

    fn start_by(
        launcher: &[&str],
        programs: &Programs,
        bed: &Bed,
        arguments: &[&str],
    ) -> Result<Self> {
        let address = free_address()?;
        let log = programs.out().join("issue.log");
        let audit = programs.out().join("issue.db");
        for file in ["issue.db", "issue.db-wal", "issue.db-shm"] {
            drop(std::fs::remove_file(programs.out().join(file))); // of a run before
        }
        let own = [
            programs.operator().display().to_string(),
            "issue".to_owned(),
            format!("--listen={address}"),
            "--metrics-listen=none".to_owned(),
            format!("--audit=sqlite:{}", audit.display()),
            "--audit-writer=issue".to_owned(),
        ];
        let launcher = launcher.iter().map(|it| (*it).to_owned());
        let more = arguments.iter().map(|it| (*it).to_owned());
        let mut words = launcher.chain(own).chain(more);
        let program = words.next().context("a program")?;
        let kubeconfig = bed.kubeconfig();
        let process = Leashed::start(
            program.as_ref(),
            &words.collect::<Vec<_>>(),
            &[("KUBECONFIG", kubeconfig.as_path())],
            &log,
        )?;
        Ok(Self { process, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Fails if it has ended by itself.
    pub(crate) fn check(&self) -> Result<()> {
        self.process.check()
    }

    /// One connection, to the trust domain's issuer and nobody else, once there is one to be had.
    pub(crate) async fn connect(&self, bundle: &Bundle) -> Result<Client> {
        let started = Instant::now();
        loop {
            self.check()?;
            match self.try_connect(bundle).await {
                Ok(client) => return Ok(client),
                Err(why) if started.elapsed() > PATIENCE => {
                    bail!(
                        "no connection to the issuing endpoint: {why}\n{}",
                        self.process.log_end()
                    );
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// One connection, if there is one to be had.
    pub(crate) async fn try_connect(&self, bundle: &Bundle) -> Result<Client> {
        let server = Unverified::http2(&self.address.to_string(), TRUST_DOMAIN)?;
        let dial = server.clone();
        let connector = tower::service_fn(move |_: http::Uri| dial.clone().connect());
        let channel: Channel = Endpoint::from_shared(format!("http://{}", self.address))?
            .connect_with_connector(connector)
            .await?;
        let svid = verify_svid(&server.shown(), bundle, now())?;
        let issuer = format!("spiffe://{TRUST_DOMAIN}/countersign/issuer");
        ensure!(svid.spiffe_id == issuer, "it is {}", svid.spiffe_id);
        Ok(Client::new(channel))
    }
}

/// What is asked for a new key.
pub(crate) fn request() -> Result<IssueX509Request> {
    let key = KeyPair::generate()?;
    let asked = CertificateParams::default().serialize_request(&key)?;
    Ok(IssueX509Request {
        pkcs10: asked.der().to_vec(),
        ..IssueX509Request::default()
    })
}

/// Asks for the pod of this token until there is a certificate: an endpoint that has just started, or a
/// pod that was just made, isn't known at once. It is verified, as a sidecar does.
pub(crate) async fn until_issued(
    client: &Client,
    token: &str,
    request: &IssueX509Request,
    bundle: &Bundle,
) -> Result<()> {
    let started = Instant::now();
    let issued = loop {
        match client.clone().issue_x509(token, request.clone()).await {
            Ok(issued) => break issued,
            Err(why) if started.elapsed() > PATIENCE => return Err(why.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let svid = verify_svid(&issued.chain, bundle, now())?;
    ensure!(svid.spiffe_id == issued.spiffe_id, "another's: {svid:?}");
    Ok(())
}

/// What the operator publishes for those who verify.
pub(crate) async fn published_bundle(bed: &Bed) -> Result<Bundle> {
    let path = format!("/api/v1/namespaces/countersign-system/configmaps/{TRUST_DOMAIN}-bundle");
    let map: Value = bed.api().fetch(&path).await?;
    let json = map.pointer("/data/bundle.json").and_then(Value::as_str);
    Ok(Bundle::from_spiffe_json(json.context("no bundle")?)?)
}

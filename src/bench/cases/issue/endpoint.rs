//! `countersign issue` on one core, pods with identities, and a connection for each few of them.

use anyhow::{Context, Result};
use countersign_issuing::{Client, IssueX509Request, IssueX509Response};

use crate::bed::{Bed, Programs};
use crate::issuing::{Issuing, published_bundle, request, until_issued};
use crate::pods::with_identities;
use crate::writer::names;

/// Pods that ask, each with its token.
const PODS: usize = 64;
/// Connections that they share.
const CONNECTIONS: usize = 16;
/// A few pods ask here for as many as thousands would.
const PER_POD: &str = "--max-per-pod=1000000";

/// A running endpoint. Ends with the value.
pub(super) struct Endpoint {
    issuing: Issuing,
    pub(super) callers: Vec<Caller>,
}

/// A pod.
#[derive(Clone)]
pub(super) struct Caller {
    client: Client,
    token: String,
    request: IssueX509Request,
}

impl Endpoint {
    pub(super) async fn start(programs: &Programs, bed: &Bed) -> Result<Self> {
        let issuing = Issuing::start_on_one_core(programs, bed, &[PER_POD])?;
        let pods = with_identities(bed, names("issue", PODS)).await?;
        let bundle = published_bundle(bed).await?;
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(issuing.connect(&bundle).await?);
        }
        let mut callers = Vec::new();
        for (number, pod) in pods.into_iter().enumerate() {
            let client = clients.get(number % CONNECTIONS).context("a connection")?;
            let request = request()?;
            until_issued(client, &pod.token, &request, &bundle).await?;
            callers.push(Caller {
                client: client.clone(),
                token: pod.token,
                request,
            });
        }
        Ok(Self { issuing, callers })
    }

    /// Fails if it had ended before.
    pub(super) fn stop(self) -> Result<()> {
        self.issuing.check()
    }
}

impl Caller {
    pub(super) async fn ask(&self) -> Result<IssueX509Response> {
        let mut client = self.client.clone();
        Ok(client.issue_x509(&self.token, self.request.clone()).await?)
    }
}

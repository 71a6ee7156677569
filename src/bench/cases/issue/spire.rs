//! SPIRE's server, where there is one: an X.509-SVID for a request with a key of its own, minted by
//! its API on its local socket. That is less than its agents ask of it, and less than is done here: no
//! TLS, nobody is attested, no entry is looked up and nothing is recorded.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use prost::Message;
use rcgen::{CertificateParams, KeyPair, SanType};
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::bed::Programs;
use crate::cases::Leashed;
use crate::cases::statistics::median;
use crate::published::free_address;

/// `spire.api.server.svid.v1.SVID`, of github.com/spiffe/spire-api-sdk.
const MINT: &str = "/spire.api.server.svid.v1.SVID/MintX509SVID";
/// Connections, and requests under way: as many as on our side.
const CONNECTIONS: usize = 16;
const CALLERS: usize = 64;
const ROUND: Duration = Duration::from_secs(3);

#[derive(Clone, PartialEq, Message)]
struct MintRequest {
    #[prost(bytes = "vec", tag = "1")]
    csr: Vec<u8>,
    #[prost(int32, tag = "2")]
    ttl: i32,
}

#[derive(Clone, PartialEq, Message)]
struct MintResponse {
    #[prost(message, optional, tag = "1")]
    svid: Option<Svid>,
}

#[derive(Clone, PartialEq, Message)]
struct Svid {
    #[prost(bytes = "vec", repeated, tag = "1")]
    cert_chain: Vec<Vec<u8>>,
}

/// SVIDs a second on one core, the median of the rounds; `None` without a SPIRE.
pub(super) async fn a_second(programs: &Programs, rounds: usize) -> Result<Option<f64>> {
    let program = programs.spire();
    if !program.is_file() {
        return Ok(None);
    }
    let folder = tempfile::tempdir().context("make a folder")?;
    let socket = folder.path().join("api.sock");
    let config = folder.path().join("server.conf");
    std::fs::write(&config, configuration(folder.path(), &socket)?)?;
    let arguments = [
        "-c".to_owned(),
        "0".to_owned(),
        program.display().to_string(),
        "run".to_owned(),
        format!("-config={}", config.display()),
    ];
    let log = programs.out().join("spire.log");
    let process = Leashed::start("taskset".as_ref(), &arguments, &[], &log)?;
    let mut callers = Vec::new();
    for _ in 0..CONNECTIONS {
        let channel = connect(&process, &socket).await?;
        for _ in 0..CALLERS / CONNECTIONS {
            callers.push((Grpc::new(channel.clone()), request()?));
        }
    }
    let mut rates = Vec::new();
    for round in 0..=rounds {
        let started = Instant::now();
        let busy = callers.iter().map(async |(client, request)| {
            let mut answers = 0_u32;
            while started.elapsed() < ROUND {
                mint(client.clone(), request.clone()).await?;
                answers += 1;
            }
            anyhow::Ok(answers)
        });
        let answers: u32 = try_join_all(busy).await?.into_iter().sum();
        if round > 0 {
            rates.push(f64::from(answers) / started.elapsed().as_secs_f64());
        }
    }
    process.check()?;
    Ok(Some(median(rates)))
}

async fn mint(mut client: Grpc<Channel>, request: MintRequest) -> Result<()> {
    client.ready().await?;
    let codec = ProstCodec::<MintRequest, MintResponse>::default();
    let path = PathAndQuery::from_static(MINT);
    let answer = client
        .unary(tonic::Request::new(request), path, codec)
        .await?;
    let svid = answer.into_inner().svid.unwrap_or_default();
    ensure!(!svid.cert_chain.is_empty(), "no SVID");
    Ok(())
}

/// Its SPIFFE ID stands in the request.
fn request() -> Result<MintRequest> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI("spiffe://bench.example/agent".try_into()?)];
    let asked = params.serialize_request(&KeyPair::generate()?)?;
    Ok(MintRequest {
        csr: asked.der().to_vec(),
        ttl: 3600,
    })
}

async fn connect(process: &Leashed, socket: &Path) -> Result<Channel> {
    let started = Instant::now();
    loop {
        process.check()?;
        let socket = socket.to_owned();
        let connector = tower::service_fn(move |_: http::Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The URI is only for show.
        let endpoint = Endpoint::from_static("http://localhost");
        match endpoint.connect_with_connector(connector).await {
            Ok(channel) => return Ok(channel),
            Err(why) if started.elapsed() > Duration::from_secs(30) => {
                bail!(
                    "SPIRE's server doesn't answer: {why}\n{}",
                    process.log_end()
                );
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// ECDSA P-256 in memory, as ours, and no limit on how often an address may ask.
fn configuration(folder: &Path, socket: &Path) -> Result<String> {
    let address = free_address()?;
    Ok(format!(
        r#"
server {{
  bind_address = "127.0.0.1"
  bind_port = "{port}"
  trust_domain = "bench.example"
  data_dir = "{data}"
  log_level = "ERROR"
  socket_path = "{socket}"
  ca_key_type = "ec-p256"
  ratelimit {{ attestation = false signing = false }}
}}
plugins {{
  DataStore "sql" {{ plugin_data {{ database_type = "sqlite3" connection_string = "{data}/datastore.sqlite3" }} }}
  KeyManager "memory" {{ plugin_data {{}} }}
  NodeAttestor "join_token" {{ plugin_data {{}} }}
}}
"#,
        port = address.port(),
        data = folder.display(),
        socket = socket.display(),
    ))
}

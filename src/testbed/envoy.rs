//! A real Envoy on loopback: mTLS for agents in front of a service, and a decision point that it asks
//! about each request.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::envoy_binary;
use crate::envoy_bootstrap::{Ports, bootstrap, file};
use crate::layout::Program;
use crate::ports::free_port;
use crate::process::{Group, Running};

/// Between two looks. Envoy is ready after some 100 ms.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How long the start may take on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What an Envoy does.
#[derive(Debug, Clone)]
pub struct EnvoyConfig {
    /// The certificate chain that agents are shown, in PEM.
    pub certificate_pem: String,
    /// Its key, in PEM.
    pub key_pem: String,
    /// A unix socket where certificate, key and roots are had by SDS, as `default` and `ROOTCA`, in
    /// place of those here.
    pub sds: Option<PathBuf>,
    /// Who doesn't show a certificate of one of these doesn't get in. PEM.
    pub client_roots_pem: String,
    /// Unless everybody does.
    pub clients: EnvoyClients,
    /// Where requests go; HTTP/1.1 without TLS.
    pub upstream: SocketAddr,
    /// Who decides; `None`: whoever gets in may.
    pub decisions: Option<EnvoyDecisions>,
    /// By prefix of the path, the first that fits.
    pub routes: Vec<EnvoyRoute>,
    /// Worker threads.
    pub concurrency: u16,
}

/// Whom Envoy lets in before anything is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EnvoyClients {
    /// Who shows a certificate that verifies.
    #[default]
    Verified,
    /// Everybody: with a certificate that doesn't verify, which is passed on as any other, and without
    /// one. What is left to stop them is the decision.
    Anybody,
}

/// Whom Envoy asks, by gRPC.
#[derive(Debug, Clone)]
pub struct EnvoyDecisions {
    /// All replicas, asked in turn.
    pub addresses: Vec<SocketAddr>,
    /// mTLS; `None`: HTTP/2 in the clear.
    pub tls: Option<EnvoyDecisionsTls>,
    /// A bearer token that it shows.
    pub token: Option<String>,
    /// How long it waits for an answer before it denies.
    pub timeout: Duration,
}

/// How Envoy and a decision point know each other.
#[derive(Debug, Clone)]
pub struct EnvoyDecisionsTls {
    /// What Envoy shows, in PEM.
    pub certificate_pem: String,
    /// Its key, in PEM.
    pub key_pem: String,
    /// Whom it trusts, in PEM.
    pub roots_pem: String,
    /// The name that the decision point must have.
    pub peer: (SanType, String),
}

/// The kind of a subject's alternative name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SanType {
    /// A host name.
    Dns,
    /// A URI, such as a SPIFFE ID.
    Uri,
    /// An address.
    IpAddress,
}

/// What is told about the requests of a route.
#[derive(Debug, Clone)]
pub struct EnvoyRoute {
    /// Of the path.
    pub prefix: String,
    /// Context extensions: names and values.
    pub extensions: Vec<(String, String)>,
}

/// An Envoy that runs. It ends, and its folder goes, with this value and in any case with its process.
#[derive(Debug)]
pub struct Envoy {
    ports: Ports,
    running: Running,
    dir: TempDir, // dropped, and so removed, before the watchdog is let go
    group: Group,
}

/// Envoy's program: of `ENVOY`, `PATH` or the cache, or downloaded once, which it says on stderr.
/// Blocks.
///
/// # Errors
/// There is none to be had.
pub fn program() -> Result<PathBuf> {
    envoy_binary::find_or_download()
}

impl EnvoyConfig {
    /// One route for everything, nobody who decides, one worker.
    pub fn new(
        certificate_pem: impl Into<String>,
        key_pem: impl Into<String>,
        client_roots_pem: impl Into<String>,
        upstream: SocketAddr,
    ) -> Self {
        Self {
            certificate_pem: certificate_pem.into(),
            key_pem: key_pem.into(),
            client_roots_pem: client_roots_pem.into(),
            sds: None,
            clients: EnvoyClients::Verified,
            upstream,
            decisions: None,
            routes: vec![EnvoyRoute {
                prefix: "/".to_owned(),
                extensions: Vec::new(),
            }],
            concurrency: 1,
        }
    }

    /// With its certificate, key and roots from a unix socket, by SDS.
    pub fn by_sds(socket: impl Into<PathBuf>, upstream: SocketAddr) -> Self {
        Self {
            sds: Some(socket.into()),
            ..Self::new("", "", "", upstream)
        }
    }

    /// With one decision point, reached without TLS; a deny after 200 ms, Envoy's own default.
    #[must_use]
    pub fn asking(mut self, address: SocketAddr) -> Self {
        self.decisions = Some(EnvoyDecisions {
            addresses: vec![address],
            tls: None,
            token: None,
            timeout: Duration::from_millis(200),
        });
        self
    }

    /// Showing a bearer token to whoever decides.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        if let Some(decisions) = &mut self.decisions {
            decisions.token = Some(token.to_owned());
        }
        self
    }

    /// Letting everybody in, with whatever certificate or without one.
    #[must_use]
    pub fn open_to_anybody(mut self) -> Self {
        self.clients = EnvoyClients::Anybody;
        self
    }

    /// With a route before all others.
    #[must_use]
    pub fn route(mut self, prefix: &str, extensions: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let route = EnvoyRoute {
            prefix: prefix.to_owned(),
            extensions: extensions.iter().map(owned).collect(),
        };
        self.routes.insert(0, route);
        self
    }
}

impl SanType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Uri => "URI",
            Self::IpAddress => "IP_ADDRESS",
        }
    }
}

impl Envoy {
    /// Starts an Envoy and waits until it is ready. Takes the program from `ENVOY`, `PATH` or the
    /// cache, or downloads it once, which it says on stderr.
    ///
    /// # Errors
    /// There is no Envoy and none to be had; it ended, or wasn't ready in time. The error has the end
    /// of its log.
    pub async fn start(config: &EnvoyConfig) -> Result<Self> {
        /// A port can be lost to another between the choice and the start.
        const TRIES: usize = 3;
        let program = tokio::task::spawn_blocking(program)
            .await
            .context("look for Envoy")??;
        let mut tried = 1;
        loop {
            let envoy = Self::launch(&program, config)?;
            match envoy.until_ready().await {
                Ok(()) => return Ok(envoy),
                Err(error) if tried < TRIES && error.to_string().contains("in use") => tried += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Where agents connect, with TLS; HTTP/2 and 1.1.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.agents).into()
    }

    /// Envoy's admin interface: `/stats` and more, HTTP/1.1 without TLS.
    pub fn admin(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.admin).into()
    }

    /// Its folder, with `envoy.log` and `bootstrap.json`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A line for each request: method, path, status, reason, decision. Written within 100 ms.
    pub fn access_log(&self) -> PathBuf {
        self.dir.path().join(file::ACCESS_LOG)
    }

    fn launch(program: &Path, config: &EnvoyConfig) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("countersign-envoy-")
            .tempdir()
            .context("make a temporary folder")?;
        let ports = Ports {
            agents: free_port()?,
            admin: free_port()?,
        };
        write_files(config, dir.path(), ports)?;
        let program = Program {
            name: "envoy",
            path: program.to_owned(),
            args: arguments(config, dir.path()),
            log: dir.path().join("envoy.log"),
        };
        let envoy = Self {
            ports,
            running: Running::default(),
            group: Group::start(dir.path())?,
            dir,
        };
        let child = envoy.group.spawn(&mut program.command()?)?;
        envoy.running.add(program, child);
        Ok(envoy)
    }

    async fn until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            self.running.check()?;
            let error = match timeout(START_TIMEOUT, self.look()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(elapsed) => elapsed.into(),
            };
            if Instant::now() > deadline {
                return Err(error).context("Envoy isn't ready in time");
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Asks `/ready`, which is 200 as soon as the listeners are there.
    async fn look(&self) -> Result<()> {
        let mut stream = TcpStream::connect(self.admin()).await?;
        stream
            .write_all(b"GET /ready HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        if !answer.starts_with(b"HTTP/1.1 200") {
            bail!("/ready says {}", String::from_utf8_lossy(&answer).trim());
        }
        Ok(())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        self.running.end_all();
    }
}

fn arguments(config: &EnvoyConfig, dir: &Path) -> Vec<String> {
    let bootstrap = dir.join("bootstrap.json").display().to_string();
    let concurrency = config.concurrency.to_string();
    [
        "--config-path",
        &bootstrap,
        "--concurrency",
        &concurrency,
        "--disable-hot-restart", // which shares memory with any other Envoy of the machine
        "--file-flush-interval-msec",
        "100",
        "--log-level",
        "warning",
    ]
    .map(str::to_owned)
    .into()
}

fn write_files(config: &EnvoyConfig, dir: &Path, ports: Ports) -> Result<()> {
    let json = format!("{:#}\n", bootstrap(config, dir, ports));
    let mut files = vec![
        ("bootstrap.json", &json),
        (file::CERTIFICATE, &config.certificate_pem),
        (file::KEY, &config.key_pem),
        (file::CLIENT_ROOTS, &config.client_roots_pem),
    ];
    let decisions = config.decisions.as_ref();
    if let Some(tls) = decisions.and_then(|it| it.tls.as_ref()) {
        files.extend([
            (file::DECISIONS_CERTIFICATE, &tls.certificate_pem),
            (file::DECISIONS_KEY, &tls.key_pem),
            (file::DECISIONS_ROOTS, &tls.roots_pem),
        ]);
    }
    for (name, content) in files {
        let path = dir.join(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600) // half of these are secrets
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

//! A real Keycloak on loopback: an OpenID provider and a transmitter of shared signals.
//!
//! For tests that need one of the world's own: its configuration is in memory and gone with it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::keycloak_distribution::{copy, find_or_fetch};
use crate::keys::random_token;
use crate::layout::Program;
use crate::ports::free_port;
use crate::process::{Group, Running};

/// Keycloak's own name for what it is tried with here; most of it is off by default.
const FEATURES: &str = "spiffe,client-auth-federated,token-exchange,ssf,authzen";

/// Ready in 15 s on an idle machine with two cores; tests run on others.
const START_WITHIN: Duration = Duration::from_secs(240);
const LOOK_EVERY: Duration = Duration::from_millis(250);
const ASK_WITHIN: Duration = Duration::from_secs(60);

const ADMIN: &str = "admin";

/// A Keycloak that ends with this value.
#[derive(Debug)]
pub struct Keycloak {
    running: Running,
    address: SocketAddr,
    password: String,
    dir: TempDir,
    _group: Group, // after the folder, as in ControlPlane
}

/// An answer of Keycloak's.
#[derive(Debug)]
pub struct KeycloakAnswer {
    /// Its status.
    pub status: StatusCode,
    /// `Location`, which names what was created.
    pub location: Option<String>,
    /// Its body; `null` where it isn't JSON.
    pub body: Value,
}

impl Keycloak {
    /// Starts one and waits until it is ready. `options` are more of `kc.sh start-dev`, such as
    /// `--spi-…`.
    ///
    /// # Errors
    /// It can't be had (see the crate's `KEYCLOAK`), or it isn't ready in time; the error has
    /// the end of its log.
    pub async fn start(options: &[&str]) -> Result<Self> {
        let distribution = tokio::task::spawn_blocking(find_or_fetch)
            .await
            .context("look for Keycloak")??;
        let dir = tempfile::Builder::new()
            .prefix("countersign-keycloak-")
            .tempdir()
            .context("make a temporary folder")?;
        let group = Group::start(dir.path())?;
        let home = dir.path().join("home");
        let port = free_port()?;
        let program = Program {
            name: "keycloak",
            path: copy(&distribution, &home)?,
            args: arguments(port, options),
            log: dir.path().join("keycloak.log"),
        };
        let password = random_token();
        let mut command = program.command()?;
        command
            .env("KC_BOOTSTRAP_ADMIN_USERNAME", ADMIN)
            .env("KC_BOOTSTRAP_ADMIN_PASSWORD", &password)
            .env("JAVA_OPTS_APPEND", "-Djava.net.preferIPv4Stack=true");
        let child = group.spawn(&mut command)?;
        let running = Running::default();
        running.add(program, child);
        let keycloak = Self {
            running,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            password,
            dir,
            _group: group,
        };
        keycloak.until_ready().await?;
        Ok(keycloak)
    }

    async fn until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            self.running.check()?;
            if let Ok(answer) = self.ask(Method::GET, "/realms/master", None, &[]).await
                && answer.status.is_success()
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "Keycloak isn't ready in time: see {}",
                    self.dir.path().display()
                );
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Its address, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("keycloak.log")).unwrap_or_default()
    }

    /// An access token of the admin, good for a minute.
    ///
    /// # Errors
    /// There is no answer, or another than that.
    pub async fn admin_token(&self) -> Result<String> {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", ADMIN),
            ("password", &self.password),
        ];
        let answer = self
            .form("/realms/master/protocol/openid-connect/token", &form)
            .await?;
        let token = answer.body.get("access_token").and_then(Value::as_str);
        token
            .map(str::to_owned)
            .with_context(|| format!("no token: {answer:?}"))
    }

    /// Asks as the admin; `path` begins with `/admin/`.
    ///
    /// # Errors
    /// There is no answer, or one that isn't 2xx.
    pub async fn admin(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<KeycloakAnswer> {
        let bearer = format!("Bearer {}", self.admin_token().await?);
        let headers = [(header::AUTHORIZATION, bearer)];
        let shown = format!("{method} {path}");
        let body = body
            .map(Value::to_string)
            .map(|it| ("application/json", it));
        let answer = self.ask(method, path, body, &headers).await?;
        if !answer.status.is_success() {
            bail!("{shown}: {answer:?}");
        }
        Ok(answer)
    }

    /// Sends JSON with a bearer token, and takes any answer.
    ///
    /// # Errors
    /// There is none.
    pub async fn json(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<KeycloakAnswer> {
        let headers = [(header::AUTHORIZATION, format!("Bearer {token}"))];
        let body = body
            .map(Value::to_string)
            .map(|it| ("application/json", it));
        self.ask(method, path, body, &headers).await
    }

    /// Posts a form, and takes any answer.
    ///
    /// # Errors
    /// There is none.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Result<KeycloakAnswer> {
        let encoded: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", percent_encoded(value)))
            .collect();
        let body = ("application/x-www-form-urlencoded", encoded.join("&"));
        self.ask(Method::POST, path, Some(body), &[]).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
        headers: &[(header::HeaderName, String)],
    ) -> Result<KeycloakAnswer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::ACCEPT, "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut bytes = Bytes::new();
        if let Some((kind, body)) = body {
            request = request.header(header::CONTENT_TYPE, kind);
            bytes = body.into();
        }
        let request = request.body(Full::new(bytes)).context("build a request")?;
        let answer = timeout(ASK_WITHIN, self.exchange(request)).await;
        answer.context("Keycloak doesn't answer")?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<KeycloakAnswer> {
        let stream = TcpStream::connect(self.address)
            .await
            .context("connect to Keycloak")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut running = JoinSet::new();
        running.spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let location = answer.headers().get(header::LOCATION);
        let location = location.and_then(|it| it.to_str().ok()).map(str::to_owned);
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(KeycloakAnswer {
            status,
            location,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }
}

impl Drop for Keycloak {
    fn drop(&mut self) {
        self.running.end_all();
    }
}

fn arguments(port: u16, options: &[&str]) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "start-dev",
        "--http-host=127.0.0.1",
        "--db=dev-mem",
        "--cache=local",
        "--log-level=info,org.keycloak.ssf:debug",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--http-port={port}"));
    arguments.push(format!("--features={FEATURES}"));
    arguments.extend(options.iter().map(|it| (*it).to_owned()));
    arguments
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

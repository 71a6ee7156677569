//! A control plane that ends with the value that holds it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OnceCell;

use crate::binaries::Binaries;
use crate::bring_up::{API_SERVER, Launch, bring_up, until_complete, until_ready};
use crate::layout::{Layout, Program};
use crate::node::{self, Image, NodePrograms, node_obstacle};
use crate::ports::free_port;
use crate::process::{Group, Running};

const SECOND_API_SERVER: &str = "second-kube-apiserver";

/// What may differ from one control plane to another. The default is for tests.
#[derive(Debug, Clone)]
pub struct Options {
    /// As in production: etcd syncs to disk before it answers, and the controllers ask no faster
    /// than by default. Off for tests, on where time is measured.
    pub durable: bool,
    /// With a node that runs pods, which needs root (see [`crate::node_obstacle`]).
    pub node: bool,
    /// More arguments for kube-apiserver, such as `--feature-gates=…`.
    pub api_server_args: Vec<String>,
    /// How long the start may take in all.
    pub start_timeout: Duration,
}

/// etcd, kube-apiserver and kube-controller-manager on loopback, in a temporary folder.
///
/// Everything ends and is removed when the value is dropped, and also when its process ends in
/// any other way (a panic, Ctrl-C, SIGKILL). Not tied to a runtime: one test's runtime may start
/// it and another's use it.
#[derive(Debug)]
pub struct ControlPlane {
    layout: Layout,
    running: Running,
    dir: TempDir, // dropped, and so removed, before the watchdog is let go
    group: Group,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durable: false,
            node: false,
            api_server_args: Vec::new(),
            start_timeout: Duration::from_secs(120),
        }
    }
}

impl Options {
    /// With a node that runs pods.
    #[must_use]
    pub fn with_node() -> Self {
        Self {
            node: true,
            ..Self::default()
        }
    }

    /// For measurements: as in production.
    #[must_use]
    pub fn durable() -> Self {
        Self {
            durable: true,
            ..Self::default()
        }
    }
}

impl ControlPlane {
    /// Starts a control plane and waits until it is ready: `/readyz` is ok and the controllers
    /// have made the default ServiceAccount. Builds the programs first if need be, which takes
    /// minutes and says so on stderr.
    ///
    /// # Errors
    /// No programs (see [`Binaries::find_or_build`]), or one of them ended or wasn't ready in
    /// time; the error has the end of its log.
    pub async fn start(options: Options) -> Result<Self> {
        /// A port can be lost to another between the choice and the start.
        const TRIES: usize = 3;
        let (binaries, node) = find_programs(options.node).await?;
        let mut tried = 1;
        loop {
            let plane = Self::prepare(binaries.clone(), node.clone(), options.clone())?;
            match bring_up(&plane.layout, &plane).await {
                Ok(()) => return Ok(plane),
                Err(error) if tried < TRIES && is_address_in_use(&error) => tried += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn prepare(binaries: Binaries, node: Option<NodePrograms>, options: Options) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("countersign-testbed-")
            .tempdir()
            .context("make a temporary folder")?;
        Ok(Self {
            group: Group::start(dir.path())?,
            layout: Layout::create(dir.path(), binaries, node, options)?,
            running: Running::default(),
            dir,
        })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The admin's kubeconfig, a file that only its owner can read.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// The temporary folder, with the programs' logs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The folder of etcd, kube-apiserver, kube-controller-manager and kubectl.
    pub fn bin_dir(&self) -> &Path {
        self.binaries().dir()
    }

    /// The programs this control plane runs.
    pub fn binaries(&self) -> &Binaries {
        self.layout.binaries()
    }

    /// The folder of the node's programs (ctr among them) and containerd's socket, if there is a node.
    pub fn node(&self) -> Option<(&Path, PathBuf)> {
        let node = self.layout.node()?;
        Some((node.programs().dir(), node.socket()))
    }

    /// Makes an image known to the node, whose pods name it with `imagePullPolicy: Never`.
    ///
    /// # Errors
    /// There is no node, the image couldn't be written, or containerd refused it.
    pub async fn load_image(&self, image: &Image) -> Result<()> {
        let node = self.layout.node().context("there is no node")?;
        let file = self.dir().join("image.tar");
        image.write(&file)?;
        node.load_image(&file).await
    }

    /// `PATH` with the folders of the programs in front, for commands that call `kubectl` or `ctr`.
    pub fn search_path(&self) -> std::ffi::OsString {
        let path = self.binaries().search_path();
        let Some((folder, _)) = self.node() else {
            return path;
        };
        let all = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        std::env::join_paths(all).unwrap_or(path)
    }

    /// A client configuration for the admin (group system:masters).
    ///
    /// # Errors
    /// None in practice: the URL is of our own making.
    pub fn config(&self) -> Result<kube::Config> {
        self.layout.config(self.layout.api_port())
    }

    /// A new client for the admin. A client is tied to the runtime it was made in, so that each
    /// test makes its own.
    ///
    /// # Errors
    /// TLS couldn't be set up.
    pub async fn client(&self) -> Result<kube::Client> {
        kube::Client::try_from(self.config()?).context("make a client")
    }

    /// Makes a namespace whose name starts with `prefix`, for one test to be alone in, and waits
    /// for its default ServiceAccount. It isn't removed.
    ///
    /// # Errors
    /// The API server refused it, or no ServiceAccount came within 10 s.
    pub async fn namespace(&self, prefix: &str) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        const DEADLINE: Duration = Duration::from_secs(10);
        let name = format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let client = self.client().await?;
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("make the namespace {name}"))?;
        let accounts = Api::<ServiceAccount>::namespaced(client, &name);
        let started = Instant::now();
        while accounts.get_opt("default").await?.is_none() {
            if started.elapsed() > DEADLINE {
                bail!("the namespace {name} has no default ServiceAccount");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(name)
    }

    /// Runs kubectl as the admin and returns its stdout.
    ///
    /// # Errors
    /// It couldn't be run or failed; the error has its stderr.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kubectl_with_input(args, "").await
    }

    /// As [`ControlPlane::kubectl`], with something on stdin: for `-f -`.
    ///
    /// # Errors
    /// It couldn't be run or failed; the error has its stderr.
    pub async fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<String> {
        let mut child = tokio::process::Command::new(self.binaries().program("kubectl"))
            .args(args)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.dir()) // its discovery cache, by port, must not outlive the port
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start kubectl")?;
        let stdin = child.stdin.take();
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // Whoever doesn't read its input may close it early.
                let _closed = stdin.write_all(input.as_bytes()).await;
            }
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), feed);
        let output = output.context("wait for kubectl")?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!(
                "kubectl {} ({}): {}",
                args.join(" "),
                output.status,
                why.trim()
            );
        }
        String::from_utf8(output.stdout).context("kubectl's output isn't UTF-8")
    }

    /// The pid of the API server; `None` while it is killed.
    pub fn api_server_pid(&self) -> Option<u32> {
        self.running.pid(API_SERVER)
    }

    /// Kills the API server (SIGKILL) and waits for its end. Its port stays its own.
    pub fn kill_api_server(&self) {
        self.running.end(API_SERVER);
    }

    /// Kills the API server if it runs, starts it again on the same port and waits until it is
    /// ready.
    ///
    /// # Errors
    /// It ended or wasn't ready in time.
    pub async fn restart_api_server(&self) -> Result<()> {
        self.kill_api_server();
        self.start_api_server(API_SERVER, self.layout.api_port())
            .await
            .map(|_| ())
    }

    /// Ends all programs, does `change` to etcd's data folder, such as to copy it or to put a copy
    /// back, and starts them again on the same ports.
    ///
    /// # Errors
    /// `change` failed, and nothing runs; or a program ended or wasn't ready in time.
    pub async fn with_etcd_stopped(
        &self,
        change: impl FnOnce(&Path) -> std::io::Result<()>,
    ) -> Result<()> {
        self.running.end_all();
        change(&self.layout.etcd_data()).context("change etcd's data")?;
        bring_up(&self.layout, self).await
    }

    /// Starts another API server on the same etcd and returns the admin's configuration for it.
    /// A second call ends the one before.
    ///
    /// # Errors
    /// It ended or wasn't ready in time.
    pub async fn second_api_server(&self) -> Result<kube::Config> {
        self.running.end(SECOND_API_SERVER);
        self.start_api_server(SECOND_API_SERVER, free_port()?).await
    }

    async fn start_api_server(&self, name: &'static str, port: u16) -> Result<kube::Config> {
        let deadline = Instant::now() + self.layout.options().start_timeout;
        self.launch(self.layout.api_server(name, port))?;
        let config = self.layout.config(port)?;
        until_ready(config.clone(), deadline, self).await?;
        until_complete(config.clone(), deadline, self).await?;
        Ok(config)
    }

    /// Compacts etcd at its current revision, which is returned. The API server keeps recent events
    /// in its own memory: a watch from an older revision is answered 410 only after
    /// [`ControlPlane::restart_api_server`] as well.
    ///
    /// # Errors
    /// etcd refused.
    pub async fn compact_etcd(&self) -> Result<i64> {
        // Any key will do: every answer's header has the current revision, as a string
        // (64-bit integers in the JSON form of protobuf). "AA==" is one zero byte in base64.
        let range = self
            .etcd("/v3/kv/range", json!({"key": "AA=="}))
            .await
            .context("ask etcd for its revision")?;
        let revision: i64 = range
            .pointer("/header/revision")
            .and_then(Value::as_str)
            .context("etcd's answer has no revision")?
            .parse()
            .context("read etcd's revision")?;
        let body = json!({"revision": revision.to_string(), "physical": true});
        match self.etcd("/v3/kv/compaction", body).await {
            // Nothing was written since the last compaction.
            Err(error) if format!("{error:#}").contains("has been compacted") => Ok(revision),
            other => other.map(|_| revision).context("compact etcd"),
        }
    }

    /// How often each Secret of a namespace was written since it was made, its making included, by
    /// name. Etcd counts that itself, whoever wrote and whatever became of the answer.
    ///
    /// # Errors
    /// etcd refused.
    pub async fn secret_writes(&self, namespace: &str) -> Result<BTreeMap<String, u64>> {
        let prefix = format!("/registry/secrets/{namespace}/");
        let end = format!("/registry/secrets/{namespace}0"); // '0' comes after '/'
        let body = json!({
            "key": STANDARD.encode(&prefix),
            "range_end": STANDARD.encode(end),
            "keys_only": true,
        });
        let range = self
            .etcd("/v3/kv/range", body)
            .await
            .context("ask etcd for Secrets")?;
        let found = range.get("kvs").and_then(Value::as_array);
        let text = |kv: &Value, key: &str| {
            let text = kv.get(key).and_then(Value::as_str).map(str::to_owned);
            text.with_context(|| format!("etcd's answer has no {key}"))
        };
        let entries = found.into_iter().flatten().map(|kv| {
            let key = String::from_utf8(STANDARD.decode(text(kv, "key")?)?)?;
            let name = key.strip_prefix(&prefix).unwrap_or(&key).to_owned();
            Ok((name, text(kv, "version")?.parse()?))
        });
        entries.collect()
    }

    async fn etcd(&self, path: &str, body: Value) -> Result<Value> {
        Ok(serde_json::from_str(&self.etcd_text(path, body).await?)?)
    }

    /// One call of etcd's JSON gateway.
    pub(crate) async fn etcd_text(&self, path: &str, body: Value) -> Result<String> {
        let url = format!("http://127.0.0.1:{}", self.layout.etcd_port());
        let etcd = kube::Client::try_from(kube::Config::new(url.parse()?))?;
        let request = Request::post(path).body(serde_json::to_vec(&body)?)?;
        Ok(etcd.request_text(request).await?)
    }

    /// Has the watchdog end one more process if this one dies before its time; `None` takes all of
    /// them back.
    ///
    /// # Errors
    /// The watchdog is gone.
    pub fn watch(&self, pid: Option<u32>) -> Result<()> {
        self.group.watch(pid)
    }

    /// Ends everything and removes the temporary folder, as a drop does.
    pub fn stop(self) {
        drop(self);
    }
}

impl Launch for ControlPlane {
    fn launch(&self, program: Program) -> Result<()> {
        let child = self.group.spawn(&mut program.command()?)?;
        self.running.add(program, child);
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.running.check()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.running.end_all();
        if let Err(error) = node::clean_up(self.dir.path()) {
            eprintln!("{error:#}");
        }
    }
}

/// The programs of the control plane and, where one is wanted, of a node. Whether it can run is
/// asked first.
pub(crate) async fn find_programs(node: bool) -> Result<(Binaries, Option<NodePrograms>)> {
    if node && let Some(obstacle) = node_obstacle() {
        bail!("no node can run here: {obstacle}");
    }
    let find = move || {
        let binaries = Binaries::find_or_build()?;
        let node = node.then(NodePrograms::find_or_build).transpose()?;
        Ok((binaries, node))
    };
    tokio::task::spawn_blocking(find)
        .await
        .context("look for the programs")?
}

/// The control plane that all tests of a process share, started by the first that asks. It ends
/// with the process.
///
/// # Errors
/// As [`ControlPlane::start`]; the next to ask tries again.
pub async fn shared() -> Result<&'static ControlPlane> {
    static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
    SHARED
        .get_or_try_init(|| ControlPlane::start(Options::default()))
        .await
}

fn is_address_in_use(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("address already in use")
}

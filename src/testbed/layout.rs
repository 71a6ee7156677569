//! One control plane's folder, ports and arguments: all that can be decided before a process runs.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::binaries::Binaries;
use crate::control_plane::Options;
use crate::keys::{Keys, random_token};
use crate::node::{NODE_NAME, Node, NodePrograms};
use crate::ports::free_port;
use crate::process::command;

/// What a control plane consists of on disk and on the network.
#[derive(Debug)]
pub(crate) struct Layout {
    dir: PathBuf,
    binaries: Binaries,
    options: Options,
    keys: Keys,
    admin_token: String,
    node: Option<Node>,
    /// Of Services' addresses, an IPv4 network.
    service_range: String,
    etcd_port: u16,
    etcd_peer_port: u16,
    api_port: u16,
}

/// A program to start: everything but how it is tied to its parent.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// What it is called in messages and in the list of pids.
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<String>,
    /// Takes stdout and stderr.
    pub(crate) log: PathBuf,
}

impl Layout {
    /// Writes keys, tokens and kubeconfigs into `dir`, which exists and is empty.
    ///
    /// With the programs of a node, the node is a part of it.
    pub(crate) fn create(
        dir: &Path,
        binaries: Binaries,
        node: Option<NodePrograms>,
        options: Options,
    ) -> Result<Self> {
        let node = node
            .map(|programs| Node::create(dir, programs))
            .transpose()?;
        let service_range = match node {
            // The machine's own, and other than another cluster's: Services can be reached.
            Some(_) => format!(
                "127.{}.{}.0/24",
                rand::random::<u8>() | 64,
                rand::random::<u8>()
            ),
            None => "10.0.0.0/24".to_owned(),
        };
        let layout = Self {
            node,
            service_range,
            dir: dir.to_owned(),
            binaries,
            options,
            keys: Keys::generate()?,
            admin_token: random_token(),
            etcd_port: free_port()?,
            etcd_peer_port: free_port()?,
            api_port: free_port()?,
        };
        layout.write_files()?;
        Ok(layout)
    }

    pub(crate) fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// The node's programs, in the order of starting: its own and the scheduler.
    pub(crate) fn node_programs(&self) -> Vec<Program> {
        let programs = |node: &Node| {
            [
                node.program(&self.path("kubelet.kubeconfig")),
                node.scheduler(&self.path("scheduler.kubeconfig")),
            ]
        };
        self.node.iter().flat_map(programs).collect()
    }

    /// The admin's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Writes another kubeconfig for the admin, for what listens on `port` in the API server's
    /// name.
    pub(crate) fn write_kubeconfig(&self, name: &str, port: u16) -> Result<PathBuf> {
        self.write(name, &self.kubeconfig_for(port, &self.admin_token))?;
        Ok(self.dir.join(name))
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn api_port(&self) -> u16 {
        self.api_port
    }

    pub(crate) fn etcd_port(&self) -> u16 {
        self.etcd_port
    }

    /// A client configuration for the admin, through whatever listens on `port` with the serving
    /// certificate.
    pub(crate) fn config(&self, port: u16) -> Result<kube::Config> {
        let url = format!("https://127.0.0.1:{port}");
        let mut config = kube::Config::new(url.parse().context("parse the API server's URL")?);
        config.root_cert = Some(vec![self.keys.ca_der.clone()]);
        config.auth_info.token = Some(self.admin_token.clone().into());
        Ok(config)
    }

    pub(crate) fn etcd_data(&self) -> PathBuf {
        self.dir.join("etcd")
    }

    pub(crate) fn etcd(&self) -> Program {
        let client = format!("http://127.0.0.1:{}", self.etcd_port);
        let peer = format!("http://127.0.0.1:{}", self.etcd_peer_port);
        let mut args = vec![
            flag("data-dir", self.path("etcd")),
            flag("listen-client-urls", &client),
            flag("advertise-client-urls", &client),
            flag("listen-peer-urls", &peer),
            flag("log-level", "warn"),
        ];
        args.extend(self.etcd_membership());
        if !self.options.durable {
            args.push("--unsafe-no-fsync".to_owned());
        }
        self.program("etcd", "etcd", args)
    }

    /// The flags that say which cluster etcd is: the same where its data is restored.
    pub(crate) fn etcd_membership(&self) -> [String; 2] {
        let peer = format!("http://127.0.0.1:{}", self.etcd_peer_port);
        [
            flag("initial-advertise-peer-urls", &peer),
            flag("initial-cluster", format!("default={peer}")),
        ]
    }

    /// An API server on `port`; `name` tells several of them apart.
    pub(crate) fn api_server(&self, name: &'static str, port: u16) -> Program {
        let mut args = vec![
            flag("bind-address", "127.0.0.1"),
            flag("advertise-address", "127.0.0.1"),
            // Loopback can't be an endpoint of the `kubernetes` Service, and nothing here uses it.
            flag("endpoint-reconciler-type", "none"),
            flag("secure-port", port.to_string()),
            flag("cert-dir", self.path("api-server")),
            flag("tls-cert-file", self.path("serving.crt")),
            flag("tls-private-key-file", self.path("serving.key")),
            flag(
                "etcd-servers",
                format!("http://127.0.0.1:{}", self.etcd_port),
            ),
            flag("service-account-issuer", "https://kubernetes.default.svc"),
            flag("service-account-key-file", self.path("service-account.pub")),
            flag(
                "service-account-signing-key-file",
                self.path("service-account.key"),
            ),
            flag("token-auth-file", self.path("tokens.csv")),
            flag("service-cluster-ip-range", &self.service_range),
        ];
        if self.node.is_some() {
            args.extend([
                flag("authorization-mode", "Node,RBAC"),
                flag("enable-admission-plugins", "NodeRestriction"),
                flag("kubelet-preferred-address-types", "Hostname"),
                flag("kubelet-certificate-authority", self.path("ca.crt")),
                flag(
                    "kubelet-client-certificate",
                    self.path("kubelet-client.crt"),
                ),
                flag("kubelet-client-key", self.path("kubelet-client.key")),
            ]);
        } else {
            args.push(flag("authorization-mode", "RBAC"));
        }
        args.extend(self.options.api_server_args.iter().cloned());
        self.program(name, "kube-apiserver", args)
    }

    pub(crate) fn controller_manager(&self) -> Program {
        let mut args = vec![
            flag("kubeconfig", self.path("controller-manager.kubeconfig")),
            flag(
                "service-account-private-key-file",
                self.path("service-account.key"),
            ),
            flag("root-ca-file", self.path("ca.crt")),
            flag("leader-elect", "false"),
            flag("bind-address", "127.0.0.1"),
            flag("secure-port", "0"), // its default is one fixed port, and there may be two of us
        ];
        if !self.options.durable {
            // Its default of 20 requests a second is what measurements are about; tests don't wait.
            args.extend([flag("kube-api-qps", "1000"), flag("kube-api-burst", "2000")]);
        }
        self.program("kube-controller-manager", "kube-controller-manager", args)
    }

    fn program(&self, name: &'static str, file: &str, args: Vec<String>) -> Program {
        Program {
            name,
            path: self.binaries.program(file),
            args,
            log: self.dir.join(format!("{name}.log")),
        }
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn write_files(&self) -> Result<()> {
        let controller_token = random_token();
        // A user of its own, so that admission policies see who is who; the group saves waiting
        // for the RBAC roles that the API server makes at its first start.
        let mut tokens = format!(
            "{},admin,admin,system:masters\n{controller_token},system:kube-controller-manager,kcm,system:masters\n",
            self.admin_token
        );
        if self.node.is_some() {
            tokens += &self.write_node_files()?;
        }
        self.write("tokens.csv", &tokens)?;
        self.write("ca.crt", &self.keys.ca_pem)?;
        self.write("serving.crt", &self.keys.serving_pem)?;
        self.write("serving.key", &self.keys.serving_key_pem)?;
        self.write("service-account.key", &self.keys.token_key_pem)?;
        self.write("service-account.pub", &self.keys.token_public_pem)?;
        self.write(
            "controller-manager.kubeconfig",
            &self.kubeconfig_for(self.api_port, &controller_token),
        )?;
        self.write(
            "kubeconfig",
            &self.kubeconfig_for(self.api_port, &self.admin_token),
        )
    }

    /// Returns the lines about their users.
    fn write_node_files(&self) -> Result<String> {
        let (kubelet, scheduler) = (random_token(), random_token());
        self.write("kubelet-client.crt", &self.keys.kubelet_client_pem)?;
        self.write("kubelet-client.key", &self.keys.kubelet_client_key_pem)?;
        let kubeconfig = |token: &str| self.kubeconfig_for(self.api_port, token);
        self.write("kubelet.kubeconfig", &kubeconfig(&kubelet))?;
        self.write("scheduler.kubeconfig", &kubeconfig(&scheduler))?;
        Ok(format!(
            "{kubelet},system:node:{NODE_NAME},kubelet,system:nodes\n{scheduler},system:kube-scheduler,scheduler,system:masters\n"
        ))
    }

    /// JSON is YAML.
    fn kubeconfig_for(&self, port: u16, token: &str) -> String {
        let name = "countersign-testbed";
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {
                "server": format!("https://127.0.0.1:{port}"),
                "certificate-authority-data": STANDARD.encode(&self.keys.ca_pem),
            }}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "admin"}}],
            "current-context": name,
        });
        format!("{kubeconfig:#}\n")
    }

    /// Readable by the owner only: half of these are secrets.
    fn write(&self, name: &str, content: &str) -> Result<()> {
        let path = self.dir.join(name);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .with_context(|| format!("write {}", path.display()))
    }
}

impl Program {
    /// The command, its output going to the log.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = command(&self.path, &self.log)?;
        command.args(&self.args);
        Ok(command)
    }

    /// The end of the log, for errors.
    pub(crate) fn log_tail(&self) -> String {
        const LINES: usize = 15;
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let skipped = lines.len().saturating_sub(LINES);
        lines
            .into_iter()
            .skip(skipped)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn flag(name: &str, value: impl AsRef<str>) -> String {
    format!("--{name}={}", value.as_ref())
}

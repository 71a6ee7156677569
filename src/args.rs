//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use countersign_controller::Retention;
use countersign_pdp::{CallerRule, TokenFile, Transmitter};

use crate::metrics_args::MetricsSecurity;

/// Just-in-time identities for AI agents on Kubernetes: a short-lived mTLS certificate for as long
/// as one task runs, and nothing after.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the controllers against the cluster of KUBECONFIG, or the one this pod is in
    Run(Box<Run>),
    /// Decide requests of agents: AuthZEN over HTTPS, Envoy's ext_authz and Watch over gRPC
    Decide(Box<Decide>),
    /// Issue certificates to pods that keep their own key, by gRPC over TLS
    Issue(Box<Issue>),
    /// Keep a pod's certificate, beside its containers: the SPIFFE Workload API and Envoy's SDS on a
    /// unix socket, and files
    Agent(Box<Agent>),
    /// Print the CRDs and the admission policies, for kubectl apply --server-side -f -
    Crds,
    /// Print the kinds of tasks that are compiled in, as TaskKinds
    Taskkinds,
    /// Print a script that completes this program's arguments in a shell
    Completion {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

/// How the controllers run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Credentials as Secrets in two namespaces, which the operator has a Role in
  countersign run --secret-namespaces finance,research

  # In every namespace: the operator may then read every Secret of the cluster, because RBAC
  # can't be limited to a label
  countersign run --secret-namespaces '*'")]
pub(crate) struct Run {
    /// The operator's own namespace, where the lease, the authorities' keys and the bundles are;
    /// made if it is missing
    #[arg(long, env = "POD_NAMESPACE", default_value = "countersign-system")]
    pub(crate) namespace: String,
    /// Namespaces where credentials may be delivered as Secrets, separated by commas; '*' for all.
    /// Without it delivery Secret is refused
    #[arg(long, env = "COUNTERSIGN_SECRET_NAMESPACES", value_delimiter = ',')]
    pub(crate) secret_namespaces: Vec<String>,
    /// Certificates are issued into pods, by `countersign issue`: without it delivery Workload is
    /// refused
    #[arg(long, env = "COUNTERSIGN_ISSUING")]
    pub(crate) issuing: bool,
    /// How many objects are worked on at once
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: u16,
    /// Where /healthz, /readyz and /metrics are served, in plain HTTP; 'none' for nowhere. With
    /// --metrics-secure /metrics alone, by TLS
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) metrics_listen: Listen,
    #[command(flatten)]
    pub(crate) metrics_security: MetricsSecurity,
    /// The audit log, without which nothing is granted: 'sqlite:PATH' for one replica, or
    /// 'postgres://user:password@host/database' for several
    #[arg(
        long,
        env = "COUNTERSIGN_AUDIT",
        hide_env_values = true,
        default_value = "sqlite:/var/lib/countersign/audit.db"
    )]
    pub(crate) audit: String,
    /// This replica's name in the audit log: the same after a restart, and no other replica's
    #[arg(long, env = "POD_NAME", default_value = "operator")]
    pub(crate) audit_writer: String,
    #[command(flatten)]
    pub(crate) sealing: Sealing,
    /// Where bundles and revocation lists are served, in plain HTTP: all of it is signed or public;
    /// 'none' for nowhere
    #[arg(long, default_value = "127.0.0.1:8081")]
    pub(crate) publish_listen: Listen,
    /// How long a revocation list may be relied upon, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=86_400))]
    pub(crate) revocation_max_age_seconds: u32,
    /// How long a changed Secret takes to reach a running agent (a kubelet takes up to 90 s): the
    /// next authority signs only after it was in the bundle for so long
    #[arg(long, default_value_t = 120)]
    pub(crate) bundle_propagation_seconds: u64,
    /// How long a watch stays open at most: for tests that can't wait for one that hangs
    #[arg(long, hide = true, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) watch_seconds: u32,
    /// What to log, as in RUST_LOG: 'info', 'debug', 'countersign_controller=debug'. At 'warn' and
    /// below, kube_client may log whole answers of the API server, Secrets too
    #[arg(long, env = "RUST_LOG", default_value = "info,kube_client=error")]
    pub(crate) log: String,
    /// How to log
    #[arg(long, default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// How a decision point runs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Beside an Envoy on the same machine, which shows a token
  countersign decide --token envoy=/etc/countersign/envoy.token

  # For Envoys that show certificates of their own; each replica knows the others
  countersign decide --listen 0.0.0.0:9443 \\
    --tls-cert tls.crt --tls-key tls.key --caller-ca ca.crt \\
    --caller 'spiffe://example.org/ns/gateway/*' \\
    --peer https://decide-1.decide:9443 --peer-token peer.token \\
    --lists http://countersign.countersign-system:8081")]
pub(crate) struct Decide {
    /// The operator's namespace: its lease, which is its heartbeat, and the bundles
    #[arg(long, env = "POD_NAMESPACE", default_value = "countersign-system")]
    pub(crate) namespace: String,
    /// Where questions are asked and signals told; without TLS only on loopback
    #[arg(long, default_value = "127.0.0.1:9443")]
    pub(crate) listen: SocketAddr,
    /// The server's certificate and chain in PEM; read again when it changes
    #[arg(long, requires = "tls_key", requires = "caller_ca")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The roots that callers' certificates are of, such as a trust domain's ca.crt
    #[arg(long, requires = "tls_cert")]
    pub(crate) caller_ca: Option<PathBuf>,
    /// The https URL that AuthZEN's discovery names; absent: that of --listen
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Who may ask, by certificate: a SPIFFE ID, with '*' at its end for all below, and after commas
    /// what it may besides. 'vouches': ask about agents whose certificate it doesn't show.
    /// 'authoritative': what it says of resources counts. 'reports': tell signals of its own
    #[arg(long = "caller", value_name = "CALLER")]
    pub(crate) callers: Vec<CallerRule>,
    /// Who may ask, by bearer token: 'NAME=FILE', and after commas what it may besides, as above
    #[arg(long = "token", value_name = "TOKEN")]
    pub(crate) tokens: Vec<TokenFile>,
    /// Another replica, by its URL: signals are shared with it
    #[arg(long = "peer", value_name = "URL", requires = "peer_token")]
    pub(crate) peers: Vec<String>,
    /// The file of the token by which replicas know each other: the same for all
    #[arg(long)]
    pub(crate) peer_token: Option<PathBuf>,
    /// The roots that other replicas' and transmitters' TLS is of, in PEM
    #[arg(long)]
    pub(crate) peer_ca: Option<PathBuf>,
    /// A transmitter of Shared Signals: its issuer's URL, then after commas 'audience=AUDIENCE',
    /// 'token=FILE' and, if it is polled, 'poll=URL'
    #[arg(long = "transmitter", value_name = "TRANSMITTER")]
    pub(crate) transmitters: Vec<Transmitter>,
    /// The file of the bearer token that Falco shows
    #[arg(long)]
    pub(crate) falco_token: Option<PathBuf>,
    /// Where /healthz, /readyz and /metrics are served, in plain HTTP; 'none' for nowhere. With
    /// --metrics-secure /metrics alone, by TLS
    #[arg(long, default_value = "127.0.0.1:8082")]
    pub(crate) metrics_listen: Listen,
    #[command(flatten)]
    pub(crate) metrics_security: MetricsSecurity,
    /// Where an operator serves its signed lists of what was revoked (its --publish-listen), by URL; may
    /// be given several times, for each of its replicas. With it, nothing is answered until the lists of
    /// every trust domain were read; without it, a certificate that was taken away before this replica
    /// began to watch, while its agent has another one, is not known to be
    #[arg(long = "lists", value_name = "URL")]
    pub(crate) lists: Vec<String>,
    /// What wasn't heard of for so long counts no more: everything is denied, unless a
    /// ClusterAgentPolicy says otherwise
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(5..=86_400))]
    pub(crate) stale_after_seconds: u32,
    /// How many questions may be in work at once; one more is denied
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_concurrent: u32,
    /// How many connections may be open; one more waits
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,
    /// The audit log that decisions are recorded in: the operator's
    #[arg(
        long,
        env = "COUNTERSIGN_AUDIT",
        hide_env_values = true,
        default_value = "sqlite:/var/lib/countersign/audit.db"
    )]
    pub(crate) audit: String,
    /// This replica's name in the audit log: the same after a restart, and nobody else's
    #[arg(long, env = "POD_NAME", default_value = "decide")]
    pub(crate) audit_writer: String,
    #[command(flatten)]
    pub(crate) sealing: Sealing,
    /// Which allows are recorded; denies always are. What a ClusterAgentPolicy wants on record first
    /// is recorded before it is answered
    #[arg(long, default_value = "all")]
    pub(crate) record: RecordAllows,
    /// How long a watch stays open at most: for tests that can't wait for one that hangs
    #[arg(long, hide = true, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) watch_seconds: u32,
    /// What to log, as in RUST_LOG
    #[arg(long, env = "RUST_LOG", default_value = "info,kube_client=error")]
    pub(crate) log: String,
    /// How to log
    #[arg(long, default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// How an issuing endpoint runs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # For sidecars in pods, which show a ServiceAccount token for the audience countersign
  countersign issue --listen 0.0.0.0:9444 --lists http://countersign.countersign-system:8081

  # And for kubelets, which ask by PodCertificateRequests (Kubernetes 1.37)
  countersign issue --listen 0.0.0.0:9444 --pod-certificates")]
pub(crate) struct Issue {
    /// The operator's namespace: its lease, which is its heartbeat, the authorities and the bundles
    #[arg(long, env = "POD_NAMESPACE", default_value = "countersign-system")]
    pub(crate) namespace: String,
    /// Where sidecars ask: gRPC over TLS, with a certificate of each trust domain that it signs itself
    #[arg(long, default_value = "127.0.0.1:9444")]
    pub(crate) listen: SocketAddr,
    /// The audience that pods' ServiceAccount tokens must be for
    #[arg(long, default_value = "countersign")]
    pub(crate) audience: String,
    /// Where /healthz, /readyz and /metrics are served, in plain HTTP; 'none' for nowhere. With
    /// --metrics-secure /metrics alone, by TLS
    #[arg(long, default_value = "127.0.0.1:8083")]
    pub(crate) metrics_listen: Listen,
    #[command(flatten)]
    pub(crate) metrics_security: MetricsSecurity,
    /// Where the OIDC discovery document and the keys of trust domains with an issuerURL are served, in
    /// plain HTTP, to be put behind an ingress; 'none' for nowhere
    #[arg(long, default_value = "none")]
    pub(crate) oidc_listen: Listen,
    /// Where an operator serves its signed lists of what was revoked (its --publish-listen), by an http
    /// URL; may be given several times, for each of its replicas. With it, sidecars get the trust
    /// domain's CRLs, and hand them on by the Workload API; certificates are issued without it, too
    #[arg(long = "lists", value_name = "URL")]
    pub(crate) lists: Vec<String>,
    /// Sign PodCertificateRequests of countersign.dev/agent too, which takes Kubernetes 1.37
    #[arg(long)]
    pub(crate) pod_certificates: bool,
    /// What wasn't heard of for so long counts no more: nothing is issued
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(5..=86_400))]
    pub(crate) stale_after_seconds: u32,
    /// How many calls may be in work at once; one more is refused
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_concurrent: u32,
    /// How many certificates and tokens one pod may have a minute; one more is refused
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_per_pod: u32,
    /// How many connections may be open; one more waits
    #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,
    /// The audit log, without which nothing is issued: the operator's
    #[arg(
        long,
        env = "COUNTERSIGN_AUDIT",
        hide_env_values = true,
        default_value = "sqlite:/var/lib/countersign/audit.db"
    )]
    pub(crate) audit: String,
    /// This replica's name in the audit log: the same after a restart, and nobody else's
    #[arg(long, env = "POD_NAME", default_value = "issue")]
    pub(crate) audit_writer: String,
    #[command(flatten)]
    pub(crate) sealing: Sealing,
    /// How long a watch stays open at most: for tests that can't wait for one that hangs
    #[arg(long, hide = true, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) watch_seconds: u32,
    /// What to log, as in RUST_LOG. At 'warn' and below, kube_client may log whole answers of the API
    /// server, Secrets too
    #[arg(long, env = "RUST_LOG", default_value = "info,kube_client=error")]
    pub(crate) log: String,
    /// How to log
    #[arg(long, default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// What leaves the audit log's database.
#[derive(Debug, Args)]
pub(crate) struct Sealing {
    /// Days that records stay in the audit log's database; older ones are sealed into files of
    /// --audit-segments. Without it, they stay for good
    #[arg(long, requires = "audit_segments", value_parser = clap::value_parser!(u32).range(2..=36_500))]
    audit_retention_days: Option<u32>,
    /// The folder that old records are sealed into
    #[arg(long, requires = "audit_retention_days")]
    audit_segments: Option<PathBuf>,
    /// Days that sealed files stay in it; they are removed then. Without it, they stay for good
    #[arg(long, requires = "audit_segments", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    audit_segment_days: Option<u32>,
}

/// How a sidecar runs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # In a pod whose volumes hold a token for the audience countersign and the trust bundle
  countersign agent --trust-domain example.org

  # For a program that reads files, and Envoy's SDS at the same socket
  countersign agent --trust-domain example.org --files /run/countersign/tls")]
pub(crate) struct Agent {
    /// The issuing endpoint
    #[arg(
        long,
        env = "COUNTERSIGN_ISSUER",
        default_value = "https://countersign-issue.countersign-system.svc:9444"
    )]
    pub(crate) issuer: String,
    /// The trust domain that the pod's identity is of: the endpoint must be its issuer
    #[arg(long, env = "COUNTERSIGN_TRUST_DOMAIN")]
    pub(crate) trust_domain: String,
    /// The trust domain's roots in PEM, such as its ClusterTrustBundle projected into the pod; read
    /// again at each connection
    #[arg(long, default_value = "/var/run/countersign/bundle/ca.crt")]
    pub(crate) trust_bundle: PathBuf,
    /// The pod's projected ServiceAccount token, of the audience that the endpoint wants; read again at
    /// each call
    #[arg(long, default_value = "/var/run/secrets/countersign/token")]
    pub(crate) token: PathBuf,
    /// The name of the AgentIdentity, where a pod has several
    #[arg(long, env = "COUNTERSIGN_IDENTITY")]
    pub(crate) identity: Option<String>,
    /// Where the SPIFFE Workload API and Envoy's SDS are served: a unix socket for the pod's user and
    /// group
    #[arg(long, default_value = "/run/countersign/agent.sock")]
    pub(crate) socket: PathBuf,
    /// A folder for tls.crt, tls.key and ca.crt, which the sidecar's user alone can read; they go when
    /// the identity does
    #[arg(long)]
    pub(crate) files: Option<PathBuf>,
    /// Where /healthz, /readyz (a certificate is in hand) and /metrics are served, in plain HTTP; 'none'
    /// for nowhere
    #[arg(long, default_value = "127.0.0.1:8082")]
    pub(crate) health_listen: Listen,
    /// What to log, as in RUST_LOG
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub(crate) log: String,
    /// How to log
    #[arg(long, default_value = "text")]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RecordAllows {
    All,
    Sensitive,
}

/// An address, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listen(pub(crate) Option<SocketAddr>);

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Sealing {
    /// `None`: all records stay where they are.
    pub(crate) fn retention(self) -> Option<Retention> {
        let (days, segments) = self.audit_retention_days.zip(self.audit_segments)?;
        Some(Retention {
            days,
            segments,
            segment_days: self.audit_segment_days,
        })
    }
}

impl std::str::FromStr for Listen {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            address => Ok(Self(Some(address.parse()?))),
        }
    }
}

//! How a decision point runs.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use countersign_audit::Retention;
use countersign_authzen::BaseUrl;
use countersign_runtime::{Clock, PageSettings};

use crate::server::REPLICA;

/// How a decision point runs.
#[derive(Clone)]
pub struct Settings {
    /// The operator's namespace: its lease and its bundles.
    pub namespace: String,
    /// Where questions are asked and signals told: AuthZEN, ext_authz and Watch on one port.
    pub listen: SocketAddr,
    /// Certificate, key and roots of callers; `None`: plain HTTP, which only loopback may have.
    pub tls: Option<TlsFiles>,
    /// The https URL by which AuthZEN clients know it; `None`: of [`Settings::listen`].
    pub url: Option<String>,
    /// Who may ask, by certificate.
    pub callers: Vec<CallerRule>,
    /// Who may ask, by bearer token.
    pub tokens: Vec<TokenFile>,
    /// The roots of peers' and transmitters' TLS, in PEM; `None`: those of [`TlsFiles::callers`].
    pub peer_ca: Option<PathBuf>,
    /// Other replicas, by their URLs: signals are shared with them.
    pub peers: Vec<String>,
    /// The file of the token by which replicas know each other; `None`: none is shared with.
    pub peer_token: Option<PathBuf>,
    /// Bearer token files and audiences of transmitters of Shared Signals.
    pub transmitters: Vec<Transmitter>,
    /// The file of the bearer token that Falco shows.
    pub falco_token: Option<PathBuf>,
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub pages: PageSettings,
    /// Where operators serve their signed lists of what was revoked, by URL; none: a certificate that was
    /// taken away before this replica watched isn't known to be.
    pub lists: Vec<String>,
    /// Facts that nothing was heard of for longer count no more.
    pub stale_after: Duration,
    /// How many questions may be in work at once; one more is denied.
    pub max_concurrent: usize,
    /// How many connections may be open; one more waits.
    pub max_connections: usize,
    /// Where decisions are recorded: as the operator's.
    pub audit_url: String,
    /// This replica's name in the log.
    pub audit_writer: String,
    /// What leaves the log's database, and where it goes; `None`: everything stays.
    pub retention: Option<Retention>,
    /// Which allows are recorded.
    pub record: Record,
    /// How long a watch stays open at most, in seconds.
    pub watch_seconds: u32,
    /// What tells the time.
    pub clock: Clock,
}

/// Which allows are recorded; denies always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// All of them.
    All,
    /// Those that must be on record before they are answered.
    Sensitive,
}

/// Files in PEM; read again when they change, so that they may be short-lived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots that callers' certificates are of.
    pub callers: PathBuf,
}

/// Callers by the SPIFFE ID of their certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerRule {
    /// A SPIFFE ID; with `*` at its end, all that begin with what is before.
    pub pattern: String,
    /// What they may.
    pub rights: Rights,
}

/// A caller by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFile {
    /// The caller's name, for logs.
    pub name: String,
    /// The file that holds the token.
    pub file: PathBuf,
    /// What it may.
    pub rights: Rights,
}

/// What a caller may beyond asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights {
    /// Ask about agents whose certificate it doesn't show.
    pub vouches: bool,
    /// Say what resources are like.
    pub authoritative: bool,
    /// Tell signals of its own.
    pub reports: bool,
}

/// One stream of Shared Signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmitter {
    /// Its issuer's URL.
    pub issuer: String,
    /// The audience that its tokens must be for.
    pub audience: String,
    /// The bearer token that it shows when it pushes, or that it is polled with.
    pub token: Option<PathBuf>,
    /// Where it is polled; `None`: it pushes.
    pub poll: Option<String>,
}

/// A setting that can't be.
#[derive(Debug, thiserror::Error)]
pub enum BadSetting {
    /// Whoever could read along could ask.
    #[error(
        "{0} is no loopback address: questions in plain HTTP go no further; give --tls-cert, --tls-key and --caller-ca"
    )]
    PlainHttp(SocketAddr),
    /// Nobody could ask.
    #[error("nobody may ask: give --caller or --token")]
    NoCallers,
    /// A caller or token can't be read.
    #[error("{0}")]
    Caller(String),
    /// The URL of discovery.
    #[error("--url: {0}")]
    Url(#[from] countersign_authzen::BadBaseUrl),
    /// The URL of an operator's lists.
    #[error(
        "--lists: {0:?} is no URL of a server, such as http://countersign.countersign-system:8081"
    )]
    Lists(String),
    /// A file can't be read.
    #[error("{file}: {why}")]
    File {
        /// Which.
        file: String,
        /// Why.
        why: String,
    },
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), BadSetting> {
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            return Err(BadSetting::PlainHttp(self.listen));
        }
        if self.callers.is_empty() && self.tokens.is_empty() {
            return Err(BadSetting::NoCallers);
        }
        match self
            .lists
            .iter()
            .find(|it| !countersign_lists::is_server(it))
        {
            Some(bad) => Err(BadSetting::Lists(bad.clone())),
            None => Ok(()),
        }
    }

    /// The URL that discovery names, of `listen` unless one is given. AuthZEN knows only https: on
    /// loopback a client that goes by it needs a TLS of its own in between.
    pub(crate) fn base(&self, listen: SocketAddr) -> Result<BaseUrl, BadSetting> {
        let url = self.url.clone();
        let url = url.unwrap_or_else(|| format!("https://{listen}"));
        Ok(BaseUrl::parse(&url)?)
    }
}

impl Rights {
    /// Of `vouches`, `authoritative` and `reports`, in any order.
    ///
    /// # Errors
    /// Another word.
    pub fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, BadSetting> {
        let mut rights = Self::default();
        for word in words {
            match word {
                "vouches" => rights.vouches = true,
                "authoritative" => rights.authoritative = true,
                "reports" => rights.reports = true,
                other => {
                    return Err(BadSetting::Caller(format!(
                        "{other:?} is no right of a caller: vouches, authoritative, reports"
                    )));
                }
            }
        }
        Ok(rights)
    }
}

impl std::str::FromStr for CallerRule {
    type Err = BadSetting;

    /// `<SPIFFE ID>[*][,vouches][,authoritative][,reports]`.
    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let mut words = text.split(',');
        let pattern = words.next().unwrap_or_default();
        // A whole trust domain at least: a part of one would be several.
        let rest = pattern.strip_prefix("spiffe://");
        let domain = rest.and_then(|it| Some(it.split_once('/')?.0));
        if domain.is_none_or(str::is_empty) {
            return Err(BadSetting::Caller(format!(
                "{pattern:?} is no SPIFFE ID of a caller: spiffe://<trust domain>/<path>, with * at the end for all below"
            )));
        }
        if pattern.trim_end_matches('*').contains('*') || pattern.ends_with("**") {
            return Err(BadSetting::Caller(format!(
                "{pattern:?}: * may only stand at the end"
            )));
        }
        Ok(Self {
            pattern: pattern.to_owned(),
            rights: Rights::parse(words)?,
        })
    }
}

impl std::str::FromStr for TokenFile {
    type Err = BadSetting;

    /// `<name>=<file>[,vouches][,authoritative][,reports]`.
    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let mut words = text.split(',');
        let first = words.next().unwrap_or_default();
        match first.split_once('=') {
            // Reporters are told by their names, in which `*` is any end; replicas by theirs.
            Some((REPLICA, _)) => Err(BadSetting::Caller(format!(
                "{REPLICA:?} is the name of the replicas: call the token something else"
            ))),
            Some((name, file)) if !name.is_empty() && !name.contains('*') && !file.is_empty() => {
                Ok(Self {
                    name: name.to_owned(),
                    file: PathBuf::from(file),
                    rights: Rights::parse(words)?,
                })
            }
            _ => Err(BadSetting::Caller(format!(
                "{first:?} is no token: <name>=<file>[,vouches][,authoritative][,reports]"
            ))),
        }
    }
}

impl std::str::FromStr for Transmitter {
    type Err = BadSetting;

    /// `<issuer>,audience=<audience>[,token=<file>][,poll=<url>]`.
    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let mut words = text.split(',');
        let mut it = Self {
            issuer: words.next().unwrap_or_default().to_owned(),
            audience: String::new(),
            token: None,
            poll: None,
        };
        for word in words {
            match word.split_once('=') {
                Some(("audience", value)) => value.clone_into(&mut it.audience),
                Some(("token", value)) => it.token = Some(PathBuf::from(value)),
                Some(("poll", value)) => it.poll = Some(value.to_owned()),
                _ => {
                    return Err(BadSetting::Caller(format!(
                        "{word:?} is nothing of a transmitter: audience=, token=, poll="
                    )));
                }
            }
        }
        if it.issuer.is_empty() || it.audience.is_empty() {
            return Err(BadSetting::Caller(
                "a transmitter has an issuer and an audience: <issuer>,audience=<audience>"
                    .to_owned(),
            ));
        }
        Ok(it)
    }
}

impl fmt::Debug for Settings {
    /// Without the audit log's URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("namespace", &self.namespace)
            .field("listen", &self.listen)
            .field("callers", &self.callers)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_a_spiffe_id_of_a_whole_trust_domain_and_what_it_may() {
        let rule: CallerRule = "spiffe://example.org/ns/gateway/*,reports,vouches"
            .parse()
            .unwrap();
        assert_eq!(rule.pattern, "spiffe://example.org/ns/gateway/*");
        let rights = Rights {
            vouches: true,
            authoritative: false,
            reports: true,
        };
        assert_eq!(rule.rights, rights);
        for bad in [
            "",
            "*",
            "spiffe://*",
            "spiffe:///a",
            "spiffe://example.org",
            "spiffe://example.org*",
            "spiffe://example.org/*/a",
            "spiffe://example.org/**",
            "https://example.org/a",
            "spiffe://example.org/a,admin",
        ] {
            assert!(bad.parse::<CallerRule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_has_a_name_of_its_own() {
        let token: TokenFile = "soc=/run/soc.token,reports".parse().unwrap();
        assert_eq!((token.name.as_str(), token.rights.reports), ("soc", true));
        for bad in [
            "",
            "soc",
            "=file",
            "soc=",
            "s*=file",
            "countersign-decide=file",
            "soc=file,root",
        ] {
            assert!(bad.parse::<TokenFile>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_transmitter_has_an_issuer_and_an_audience() {
        let text = "https://id.example.org,audience=us,token=t,poll=https://id.example.org/poll";
        let it: Transmitter = text.parse().unwrap();
        assert_eq!(
            (it.audience.as_str(), it.token),
            ("us", Some(PathBuf::from("t")))
        );
        for bad in [
            "",
            "https://id.example.org",
            ",audience=us",
            "https://id.example.org,audience=us,x=y",
        ] {
            assert!(bad.parse::<Transmitter>().is_err(), "{bad}");
        }
    }
}

//! Who asks: by certificate, or by token.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use countersign_decision::Caller;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tracing::warn;
use zeroize::Zeroizing;

use crate::settings::{CallerRule, Rights, TokenFile};

/// A shorter token could be guessed.
const SHORTEST: usize = 16;
/// A longer one is none.
const LONGEST: u64 = 4096;

/// The SPIFFE ID of the certificate that a connection was opened with.
#[derive(Debug, Clone)]
pub(crate) struct PeerId(pub(crate) Arc<str>);

/// The name by which replicas know each other. No other caller may have it.
pub(crate) const REPLICA: &str = "countersign-decide";

/// All who may ask.
#[derive(Debug)]
pub(crate) struct Callers {
    rules: Vec<CallerRule>,
    files: Vec<TokenFile>,
    tokens: ArcSwap<Vec<Token>>,
}

#[derive(Debug)]
struct Token {
    name: String,
    rights: Rights,
    /// Hashes are compared: all are as long, and none is a token.
    hash: [u8; 32],
}

impl Callers {
    /// The token of `peers`, if there is one, lets in [`REPLICA`].
    pub(crate) fn new(
        rules: Vec<CallerRule>,
        mut files: Vec<TokenFile>,
        peers: Option<&PathBuf>,
    ) -> Self {
        files.retain(|it| it.name != REPLICA);
        files.extend(peers.map(|file| TokenFile {
            name: REPLICA.to_owned(),
            file: file.clone(),
            rights: Rights::default(),
        }));
        let callers = Self {
            rules,
            files,
            tokens: ArcSwap::default(),
        };
        callers.read_tokens();
        callers
    }

    /// Reads the files of tokens again. One that can't be read lets nobody in.
    pub(crate) fn read_tokens(&self) {
        let read = self
            .files
            .iter()
            .filter_map(|it| match read_token(&it.file) {
                Ok(hash) => Some(Token {
                    name: it.name.clone(),
                    rights: it.rights,
                    hash,
                }),
                Err(why) => {
                    warn!(caller = it.name, "its token doesn't count: {why}");
                    None
                }
            });
        self.tokens.store(Arc::new(read.collect()));
    }

    fn by_id(&self, id: &str) -> Option<Caller> {
        let rule = self
            .rules
            .iter()
            .find(|it| match it.pattern.strip_suffix('*') {
                Some(prefix) => id.starts_with(prefix),
                None => id == it.pattern,
            })?;
        Some(caller(id, rule.rights))
    }

    fn by_token(&self, token: &str) -> Option<Caller> {
        let hash = Sha256::digest(token.as_bytes());
        let tokens = self.tokens.load();
        // All are compared, so that the time doesn't tell which was near.
        let mut found = None;
        for it in tokens.iter() {
            if bool::from(it.hash.as_slice().ct_eq(hash.as_slice())) {
                found = Some(caller(&it.name, it.rights));
            }
        }
        found
    }
}

/// Puts the [`Caller`] into the request's extensions, if it is one. Who isn't is refused by whatever
/// needs one.
pub(crate) async fn identify(
    State(callers): State<Arc<Callers>>,
    mut request: Request,
    next: Next,
) -> Response {
    let bearer = (request.headers().get(AUTHORIZATION))
        .and_then(|it| it.to_str().ok())
        .and_then(|it| it.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, token)| callers.by_token(token.trim()));
    let id = request.extensions().get::<PeerId>().cloned();
    let caller = bearer.or_else(|| callers.by_id(&id?.0));
    // Only ours counts.
    request.extensions_mut().remove::<Caller>();
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

/// The SHA-256 of a token's file without the space around it.
fn read_token(file: &PathBuf) -> Result<[u8; 32], String> {
    let size = std::fs::metadata(file).map_err(|why| format!("{}: {why}", file.display()))?;
    if size.len() > LONGEST {
        return Err(format!("{} has more than {LONGEST} bytes", file.display()));
    }
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|why| format!("{}: {why}", file.display()))?;
    let token = text.trim();
    if token.len() < SHORTEST {
        return Err(format!(
            "{} has fewer than {SHORTEST} characters",
            file.display()
        ));
    }
    Ok(Sha256::digest(token.as_bytes()).into())
}

fn caller(name: &str, rights: Rights) -> Caller {
    Caller {
        name: name.to_owned(),
        vouches: rights.vouches,
        authoritative: rights.authoritative,
    }
}

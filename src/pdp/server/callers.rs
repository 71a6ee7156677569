//! Who asks: by certificate, or by token.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::HeaderMap;
use countersign_decision::Caller;
use countersign_signals::{BearerToken, shown_by};
use tracing::warn;

use crate::settings::{CallerRule, Rights, TokenFile};
use crate::token;

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
    token: BearerToken,
}

impl Callers {
    /// The token of `peers`, if there is one, lets in [`REPLICA`].
    pub(crate) fn new(
        rules: Vec<CallerRule>,
        mut files: Vec<TokenFile>,
        peers: Option<&PathBuf>,
    ) -> Self {
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
        let read = self.files.iter().filter_map(|it| {
            let token = token::read(&it.file).map_err(|why| why.to_string());
            let token = token.and_then(|it| BearerToken::new(&it).map_err(|why| why.to_string()));
            match token {
                Ok(token) => Some(Token {
                    name: it.name.clone(),
                    rights: it.rights,
                    token,
                }),
                Err(why) => {
                    warn!(caller = it.name, "its token doesn't count: {why}");
                    None
                }
            }
        });
        self.tokens.store(Arc::new(read.collect()));
    }

    /// Whether its certificate still counts is asked elsewhere.
    pub(super) fn by_id(&self, id: &str) -> Option<Caller> {
        let rules = self.rules.iter();
        let mut callers = rules.map(|it| (it, caller(id, it.rights)));
        callers
            .find(|(rule, caller)| caller.is(&rule.pattern))
            .map(|it| it.1)
    }

    pub(super) fn by_token(&self, headers: &HeaderMap) -> Option<Caller> {
        let tokens = self.tokens.load();
        let place = shown_by(headers, tokens.iter().map(|it| Some(&it.token)))?;
        let shown = tokens.get(place)?;
        Some(caller(&shown.name, shown.rights))
    }
}

fn caller(name: &str, rights: Rights) -> Caller {
    Caller {
        name: name.to_owned(),
        vouches: rights.vouches,
        authoritative: rights.authoritative,
    }
}

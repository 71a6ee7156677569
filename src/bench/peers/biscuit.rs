//! biscuit-auth 6.0.0: an authority block, and a block of checks for each hop below it.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use anyhow::Result;
use biscuit_auth::builder::{Term, fact, string};
use biscuit_auth::builder_ext::AuthorizerExt as _;
use biscuit_auth::{
    AuthorizerBuilder, AuthorizerLimits, Biscuit, BlockBuilder, KeyPair, PublicKey,
};

use crate::case::Chain;
use crate::scope;

/// 1 December 2026, midnight UTC, in seconds since 1970: when the tokens are asked for. Datalog
/// takes its time from a fact, so no clock is needed.
const NOW: u64 = 1_796_083_200;

/// A token as bytes.
pub(crate) struct Token {
    bytes: Vec<u8>,
    root: PublicKey,
}

/// A token verified before, and a request that it allows.
pub(crate) struct Request {
    token: Biscuit,
    bytes: usize,
    resource: String,
}

impl Token {
    /// A token of so many blocks, each signed by a key of its own.
    pub(crate) fn sign(hops: usize) -> Result<Self> {
        let root = KeyPair::new();
        let mut token = Biscuit::builder().code(checks(0)?)?.build(&root)?;
        for hop in 1..hops {
            token = token.append(BlockBuilder::new().code(checks(hop)?)?)?;
        }
        Ok(Self {
            bytes: token.to_vec()?,
            root: root.public(),
        })
    }

    fn parse(&self) -> Result<Biscuit> {
        Ok(Biscuit::from(black_box(&self.bytes), self.root)?)
    }
}

impl Chain for Token {
    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn check(&self) -> Result<()> {
        black_box(self.parse()?);
        Ok(())
    }
}

impl Request {
    /// A request that a token of so many blocks allows.
    pub(crate) fn prepare(hops: usize) -> Result<Self> {
        let token = Token::sign(hops)?;
        Ok(Self {
            token: token.parse()?,
            bytes: token.bytes(),
            resource: scope::resource(hops),
        })
    }
}

impl Chain for Request {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn check(&self) -> Result<()> {
        let mut authorizer = AuthorizerBuilder::new()
            .fact(fact("resource", &[string(&self.resource)]))?
            .fact(fact("operation", &[string(scope::ACTION)]))?
            .fact(fact("time", &[Term::Date(NOW)]))?
            .allow_all()
            .build(black_box(&self.token))?;
        // The default of 1 ms would make a descheduled thread an error.
        let limits = AuthorizerLimits {
            max_time: Duration::from_secs(10),
            ..Default::default()
        };
        black_box(authorizer.authorize_with_limits(limits)?);
        Ok(())
    }
}

/// What this hop demands of a request, in Datalog: an action, a folder, at the root a time.
fn checks(hop: usize) -> Result<String> {
    let mut checks = String::new();
    match scope::actions(hop) {
        [action] => writeln!(checks, "check if operation(\"{action}\");")?,
        actions => writeln!(checks, "check if operation($o), {actions:?}.contains($o);")?,
    }
    let folder = scope::folder(hop);
    writeln!(
        checks,
        "check if resource($r), $r.starts_with(\"{folder}\");"
    )?;
    if hop == 0 {
        let end = Term::Date(NOW + scope::lifetime(hop));
        writeln!(checks, "check if time($t), $t <= {end};")?;
    }
    Ok(checks)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]
mod tests {
    use super::*;

    #[test]
    fn a_token_with_any_of_some_bytes_changed_is_refused() {
        let good = Token::sign(3).unwrap();
        for at in (0..good.bytes.len()).step_by(7) {
            let mut bytes = good.bytes.clone();
            bytes[at] ^= 1;
            assert!(
                Token {
                    bytes,
                    root: good.root
                }
                .check()
                .is_err(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_token_of_another_root_is_refused() {
        let good = Token::sign(1).unwrap();
        let other = Token {
            root: KeyPair::new().public(),
            ..good
        };
        assert!(other.check().is_err());
    }

    #[test]
    fn a_request_outside_the_last_folder_is_denied() {
        let good = Request::prepare(3).unwrap();
        let wide = Request {
            resource: scope::resource(2),
            ..good
        };
        assert!(wide.check().is_err());
    }
}

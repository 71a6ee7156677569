//! Verifying a chain of statements.

use std::fmt;
use std::sync::Arc;

use countersign_authority::Bundle;
use countersign_core::Grant;
use jiff::{SignedDuration, Timestamp};

use crate::ed25519::{Signed, verify_all};
use crate::error::{Broken, ChainError};
use crate::jws::Compact;
use crate::trusted_keys::{TrustedKey, TrustedKeys};
use crate::{Claims, Digest, MAX_DEPTH, MAX_STATEMENT_BYTES, Purpose, Statement, agent, check_hop};

/// As many statements as a chain can have: hop 0 and [`MAX_DEPTH`] below it.
pub const MAX_STATEMENTS: usize = MAX_DEPTH as usize + 1;

/// How strictly to verify, and what else is known.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How far ahead the signer's clock may be; expiry knows no tolerance. 60 seconds.
    pub clock_skew: SignedDuration,
    /// The X.509 roots of the trust domain, when the agents' own statements are to be verified too.
    /// Without them such a statement counts as what the trust domain countersigned it for.
    pub agent_signatures: Option<&'a Bundle>,
    /// Is this statement revoked? Asked for each hop: one revoked ancestor breaks the chain.
    pub revoked: Option<&'a (dyn Fn(&Digest) -> bool + Sync)>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            clock_skew: SignedDuration::from_secs(60),
            agent_signatures: None,
            revoked: None,
        }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("clock_skew", &self.clock_skew)
            .field("agent_signatures", &self.agent_signatures.is_some())
            .field("revoked", &self.revoked.is_some())
            .finish()
    }
}

/// A chain that was verified, from hop 0 to its leaf; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    above: Vec<Arc<Statement>>,
    leaf: Arc<Statement>,
}

impl Chain {
    /// Its last statement: whose delegate may act.
    pub fn leaf(&self) -> &Statement {
        &self.leaf
    }

    /// Hop 0: the owner.
    pub fn root(&self) -> &Statement {
        self.above.first().unwrap_or(&self.leaf)
    }

    /// Each hop, from 0.
    pub fn hops(&self) -> impl ExactSizeIterator<Item = &Statement> {
        let count = self.above.len() + 1;
        (0..count).map(|hop| &**self.above.get(hop).unwrap_or(&self.leaf))
    }

    /// Each hop's digest, from hop 0's.
    pub fn digests(&self) -> impl ExactSizeIterator<Item = &Digest> {
        self.hops().map(Statement::digest)
    }

    /// What the delegate may do: the leaf's grants, each within those of every hop above.
    pub fn grants(&self) -> &[Grant] {
        &self.leaf.claims().grants
    }

    /// The first moment at which it counts no more: the leaf's, which no hop above ends before.
    pub fn expires_at(&self) -> Timestamp {
        self.leaf.claims().expires_at
    }

    /// None when there is no hop.
    pub(crate) fn of(mut hops: Vec<Arc<Statement>>) -> Option<Self> {
        let leaf = hops.pop()?;
        Some(Self { above: hops, leaf })
    }

    /// Its first hops, at least one and at most all.
    pub(crate) fn first(&self, count: usize) -> Self {
        match self.above.get(count.saturating_sub(1)) {
            None => self.clone(),
            Some(leaf) => Self {
                above: self
                    .above
                    .iter()
                    .take(count.saturating_sub(1))
                    .cloned()
                    .collect(),
                leaf: Arc::clone(leaf),
            },
        }
    }

    fn shared_hops(&self) -> Vec<Arc<Statement>> {
        self.above.iter().chain([&self.leaf]).cloned().collect()
    }

    /// What may change while its statements don't: the time, and what was revoked.
    pub(crate) fn check_now(
        &self,
        now: Timestamp,
        options: &Options<'_>,
    ) -> Result<(), ChainError> {
        let soon = now
            .checked_add(options.clock_skew)
            .unwrap_or(Timestamp::MAX);
        for (hop, statement) in self.hops().enumerate() {
            let claims = statement.claims();
            let broken = if claims.expires_at <= now {
                Broken::Expired(claims.expires_at)
            } else if claims.issued_at > soon {
                Broken::NotYetValid(claims.issued_at)
            } else if options.revoked.is_some_and(|it| it(statement.digest())) {
                Broken::Revoked(*statement.digest())
            } else {
                continue;
            };
            return Err(ChainError::at(hop, broken));
        }
        Ok(())
    }
}

/// Verifies a chain: `statements` in their compact form, from hop 0 to the leaf.
///
/// Each must be signed by one of `keys` for statements, say the same trust domain, follow the one
/// above by [`check_hop`], and be in force at `now`. The error names the hop and what breaks.
pub fn verify_chain(
    statements: &[&str],
    keys: &TrustedKeys,
    now: Timestamp,
    options: &Options<'_>,
) -> Result<Chain, ChainError> {
    check_sizes(statements)?;
    let chain = extend(None, statements, keys, options)?;
    chain.check_now(now, options)?;
    Ok(chain)
}

/// Refuses what is too much or too large to be read.
pub(crate) fn check_sizes(statements: &[&str]) -> Result<(), ChainError> {
    if statements.is_empty() {
        return Err(ChainError::whole(Broken::Empty));
    }
    if statements.len() > MAX_STATEMENTS {
        return Err(ChainError::whole(Broken::TooLong(statements.len())));
    }
    match statements
        .iter()
        .position(|it| it.len() > MAX_STATEMENT_BYTES)
    {
        None => Ok(()),
        Some(hop) => Err(ChainError::at(
            hop,
            Broken::TooLarge {
                bytes: statements.get(hop).map_or(0, |it| it.len()),
                most: MAX_STATEMENT_BYTES,
            },
        )),
    }
}

/// The chain of `verified`, if any, and the hops of `more` below it, whatever the time.
pub(crate) fn extend(
    verified: Option<&Chain>,
    more: &[&str],
    keys: &TrustedKeys,
    options: &Options<'_>,
) -> Result<Chain, ChainError> {
    let mut hops = verified.map(Chain::shared_hops).unwrap_or_default();
    let first = hops.len();
    let at = |place: usize, broken| ChainError::at(first + place, broken);
    let mut parts = Vec::with_capacity(more.len());
    let mut signed = Vec::with_capacity(more.len());
    for (place, text) in more.iter().enumerate() {
        let part = cut(text, keys).map_err(|why| at(place, why))?;
        signed.push(part.signed);
        parts.push(part);
    }
    // Nothing of a payload is read before its signature holds.
    verify_all(&signed).map_err(|place| at(place, Broken::BadSignature))?;
    hops.reserve(more.len());
    for ((place, part), text) in parts.iter().enumerate().zip(more) {
        let next = follow(&hops, part, text, keys, options);
        hops.push(next.map_err(|why| at(place, why))?);
    }
    Chain::of(hops).ok_or_else(|| ChainError::whole(Broken::Empty))
}

struct Part<'a> {
    compact: Compact<'a>,
    key: &'a TrustedKey,
    signed: Signed<'a>,
}

fn cut<'a>(text: &'a str, keys: &'a TrustedKeys) -> Result<Part<'a>, Broken> {
    let compact = Compact::split(text, MAX_STATEMENT_BYTES)?;
    let key = keys.find(compact.header, Purpose::Statements)?;
    let signed = Signed {
        key: &key.public,
        message: compact.signing_input.as_bytes(),
        signature: compact.ed25519_signature()?,
    };
    Ok(Part {
        compact,
        key,
        signed,
    })
}

fn follow(
    above: &[Arc<Statement>],
    part: &Part<'_>,
    text: &str,
    keys: &TrustedKeys,
    options: &Options<'_>,
) -> Result<Arc<Statement>, Broken> {
    let claims = Claims::read(&part.compact.payload()?)?;
    keys.check_issuer(&claims.issuer)?;
    part.key.signed_until(claims.issued_at)?;
    match above.last() {
        None if claims.depth != 0 => return Err(Broken::NoRoot(claims.depth)),
        None => {}
        Some(parent) => check_below(above, parent, &claims)?,
    }
    if let Some(bundle) = options.agent_signatures {
        agent::check_nested(&claims, bundle)?;
    }
    let digest = Digest::of(part.signed.message);
    Ok(Arc::new(Statement::new(claims, digest, text.to_owned())))
}

fn check_below(
    above: &[Arc<Statement>],
    parent: &Statement,
    claims: &Claims,
) -> Result<(), Broken> {
    let mut subjects = [""; MAX_STATEMENTS];
    for (place, hop) in subjects.iter_mut().zip(above) {
        *place = hop.claims().subject.as_str();
    }
    check_hop(parent.claims(), parent.digest(), &subjects, claims)?;
    if above.iter().any(|hop| hop.claims().id == claims.id) {
        return Err(Broken::ReusedId(claims.id.clone()));
    }
    Ok(())
}

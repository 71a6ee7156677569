//! tenuo 0.3.5: a warrant for each hop, signed by the holder of the one above.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tenuo::wire::{self, WarrantStack};
use tenuo::{
    Authorizer, ConstraintSet, ConstraintValue, POP_MAX_WINDOWS, POP_TIMESTAMP_WINDOW_SECS,
    Pattern, Signature, SigningKey, Warrant,
};

use crate::case::Chain;
use crate::scope;

/// The argument of a call that patterns constrain.
const ARGUMENT: &str = "resource";

/// A chain as bytes.
pub(crate) struct Stack {
    bytes: Vec<u8>,
    authorizer: Authorizer,
    /// The last holder's key.
    holder: SigningKey,
}

/// The leaf of a chain verified before, and a request that it allows, with the holder's proof.
pub(crate) struct Request {
    leaf: Warrant,
    bytes: usize,
    arguments: HashMap<String, ConstraintValue>,
    proof: Signature,
    /// Seconds since 1970: when the proof was made.
    at: i64,
}

impl Stack {
    /// A chain of so many warrants, each signed by a key of its own.
    pub(crate) fn sign(hops: usize) -> Result<Self> {
        let root = SigningKey::generate();
        let mut holder = SigningKey::generate();
        let authorizer = Authorizer::new().with_trusted_root(root.public_key());

        let mut builder = Warrant::builder();
        for action in scope::actions(0) {
            builder = builder.capability(*action, constraints(0)?);
        }
        let first = builder
            .ttl(Duration::from_secs(scope::lifetime(0)))
            .holder(holder.public_key())
            .build(&root)?;
        let mut chain = vec![first];
        for hop in 1..hops {
            let delegate = SigningKey::generate();
            let mut builder = chain.last().context("the root is there")?.attenuate();
            for action in scope::actions(hop) {
                builder = builder.capability(*action, constraints(hop)?);
            }
            let below = builder
                .ttl(Duration::from_secs(scope::lifetime(hop)))
                .holder(delegate.public_key())
                .build(&holder)?;
            chain.push(below);
            holder = delegate;
        }
        Ok(Self {
            bytes: wire::encode_stack(&WarrantStack::new(chain))?,
            authorizer,
            holder,
        })
    }

    fn verified(&self) -> Result<WarrantStack> {
        let stack = wire::decode_stack(black_box(&self.bytes))?;
        black_box(self.authorizer.verify_chain(&stack.0)?);
        Ok(stack)
    }
}

impl Chain for Stack {
    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn check(&self) -> Result<()> {
        black_box(self.verified()?);
        Ok(())
    }
}

impl Request {
    /// A request that a chain of so many warrants allows, and the proof that its holder makes it.
    pub(crate) fn prepare(hops: usize) -> Result<Self> {
        let stack = Stack::sign(hops)?;
        let leaf = stack
            .verified()?
            .0
            .pop()
            .context("a verified chain has a leaf")?;
        let resource = ConstraintValue::String(scope::resource(hops));
        let arguments = HashMap::from([(ARGUMENT.to_owned(), resource)]);
        let at = leaf.issued_at().timestamp();
        let proof = leaf.sign_with_timestamp(&stack.holder, scope::ACTION, &arguments, Some(at))?;
        Ok(Self {
            leaf,
            bytes: stack.bytes(),
            arguments,
            proof,
            at,
        })
    }
}

impl Chain for Request {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn check(&self) -> Result<()> {
        black_box(&self.leaf).authorize_with_pop_args_and_config_as_of(
            scope::ACTION,
            &self.arguments,
            &self.arguments,
            Some(&self.proof),
            POP_TIMESTAMP_WINDOW_SECS,
            POP_MAX_WINDOWS,
            self.at,
        )?;
        Ok(())
    }
}

/// The folder of this hop.
fn constraints(hop: usize) -> Result<ConstraintSet> {
    let folder = Pattern::new(&format!("{}*", scope::folder(hop)))?;
    Ok([(ARGUMENT.to_owned(), folder.into())].into_iter().collect())
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
    fn a_chain_with_any_of_some_bytes_changed_is_refused() {
        let good = Stack::sign(3).unwrap();
        for at in (0..good.bytes.len()).step_by(7) {
            let mut bytes = good.bytes.clone();
            bytes[at] ^= 1;
            let changed = Stack {
                bytes,
                authorizer: good.authorizer.clone(),
                holder: good.holder.clone(),
            };
            assert!(changed.check().is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_chain_of_another_root_is_refused() {
        let good = Stack::sign(1).unwrap();
        let root = SigningKey::generate().public_key();
        let other = Stack {
            authorizer: Authorizer::new().with_trusted_root(root),
            ..good
        };
        assert!(other.check().is_err());
    }

    #[test]
    fn a_request_with_the_proof_of_another_is_denied() {
        let one = Request::prepare(3).unwrap();
        let other = Request::prepare(3).unwrap();
        assert!(
            Request {
                proof: other.proof,
                ..one
            }
            .check()
            .is_err()
        );
    }
}

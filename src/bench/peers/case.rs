//! One library, one length of chain, and all of them.

use std::fmt;

use anyhow::{Context, Result};

use crate::{biscuit, tenuo};

/// What is measured; see the crate's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Parse and verify a biscuit.
    Biscuit,
    /// Run the checks of a verified biscuit against a request.
    BiscuitAuthorize,
    /// Parse and verify a stack of warrants.
    Tenuo,
    /// Check proof of possession and constraints of a verified leaf warrant.
    TenuoAuthorize,
}

/// A chain, and what is done with it.
pub(crate) trait Chain {
    /// Bytes of the whole chain as it travels.
    fn bytes(&self) -> usize;

    /// Does once what is measured. An error means that the chain was refused.
    fn check(&self) -> Result<()>;
}

/// A chain of a peer.
pub(crate) struct Case {
    pub(crate) peer: Peer,
    pub(crate) hops: usize,
    pub(crate) chain: Box<dyn Chain>,
}

/// Every peer at every length.
pub(crate) struct Cases(Vec<Case>);

impl Peer {
    const ALL: [Self; 4] = [
        Self::Biscuit,
        Self::BiscuitAuthorize,
        Self::Tenuo,
        Self::TenuoAuthorize,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Biscuit => "biscuit",
            Self::BiscuitAuthorize => "biscuit_authorize",
            Self::Tenuo => "tenuo",
            Self::TenuoAuthorize => "tenuo_authorize",
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Cases {
    /// Signs the chains, and sees that each is accepted.
    pub(crate) fn prepare(lengths: &[usize]) -> Result<Self> {
        let mut cases = Vec::new();
        for peer in Peer::ALL {
            for &hops in lengths {
                let case =
                    Case::prepare(peer, hops).with_context(|| format!("{peer}, {hops} hops"))?;
                cases.push(case);
            }
        }
        Ok(Self(cases))
    }

    /// In the order of preparation: by peer, then as the lengths were given.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Case> {
        self.0.iter()
    }

    /// The one of that name and length, if it was prepared.
    pub(crate) fn find(&self, peer: &str, hops: usize) -> Option<&Case> {
        self.iter()
            .find(|case| case.peer.name() == peer && case.hops == hops)
    }
}

impl Case {
    fn prepare(peer: Peer, hops: usize) -> Result<Self> {
        let chain: Box<dyn Chain> = match peer {
            Peer::Biscuit => Box::new(biscuit::Token::sign(hops)?),
            Peer::BiscuitAuthorize => Box::new(biscuit::Request::prepare(hops)?),
            Peer::Tenuo => Box::new(tenuo::Stack::sign(hops)?),
            Peer::TenuoAuthorize => Box::new(tenuo::Request::prepare(hops)?),
        };
        chain.check()?;
        Ok(Self { peer, hops, chain })
    }
}

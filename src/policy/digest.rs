//! Names for what is in effect.

use sha2::{Digest as _, Sha256};

use crate::source::{Mode, PolicySource, Scope};

/// Digests parts so that no two different lists of parts have the same bytes: each comes with its
/// length before it.
pub(crate) struct Digester(Sha256);

impl Digester {
    /// For one purpose, which is part of it.
    pub(crate) fn new(purpose: &str) -> Self {
        let mut digester = Self(Sha256::new());
        digester.add(purpose);
        digester
    }

    pub(crate) fn add(&mut self, part: &str) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    /// `sha256:` and 64 digits of lower-case hex.
    pub(crate) fn finish(self) -> String {
        format!("sha256:{}", hex::encode(self.0.finalize()))
    }
}

/// The digest of all that counts of an object once it is in effect. The order of policies doesn't,
/// and its tests don't.
pub(crate) fn of_source(source: &PolicySource) -> String {
    let mut digester = Digester::new("countersign policies v1");
    add_scope(&mut digester, &source.scope);
    digester.add(&source.name);
    digester.add(match source.mode {
        Mode::Enforce => "Enforce",
        Mode::Audit => "Audit",
        Mode::Disabled => "Disabled",
    });
    let mut policies: Vec<_> = source.policies.iter().collect();
    policies.sort_by(|a, b| a.id.cmp(&b.id));
    for policy in policies {
        digester.add("policy");
        digester.add(&policy.id);
        digester.add(&policy.cedar);
        for obligation in &policy.obligations {
            digester.add("obligation");
            digester.add(&obligation.kind);
            digester.add(&obligation.properties);
        }
    }
    digester.finish()
}

pub(crate) fn add_scope(digester: &mut Digester, scope: &Scope) {
    match scope {
        Scope::Cluster => digester.add("cluster"),
        Scope::Namespace(name) => {
            digester.add("namespace");
            digester.add(name);
        }
    }
}

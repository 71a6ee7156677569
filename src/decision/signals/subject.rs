//! How subjects are found without making one.

use std::borrow::Cow;
use std::sync::Arc;

use crate::SignalSubject;

/// What a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Agent,
    Pod,
    Owner,
    Certificate,
    Delegation,
}

/// A subject's place in the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) name: Arc<str>,
}

/// The subject's kind and name; a pod's is its namespace and name, which have no slash.
pub(crate) fn named(subject: &SignalSubject) -> (Kind, Cow<'_, str>) {
    match subject {
        SignalSubject::Agent(it) => (Kind::Agent, it.into()),
        SignalSubject::Pod { namespace, name } => (Kind::Pod, pod(namespace, name).into()),
        SignalSubject::Owner(it) => (Kind::Owner, it.into()),
        SignalSubject::Certificate(it) => (Kind::Certificate, it.into()),
        SignalSubject::Delegation(it) => (Kind::Delegation, it.into()),
    }
}

/// The name of a pod among all.
pub(crate) fn pod(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

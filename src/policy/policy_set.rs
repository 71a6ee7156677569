//! All policies together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::compile::Compiled;
use crate::digest::{self, Digester};
use crate::facts::{AgentFacts, ContextFacts, ResourceFacts};
use crate::index::Index;
use crate::inquiry::Inquiry;
use crate::prepared::PreparedAgent;
use crate::request::Request;
use crate::rule::Rule;
use crate::source::{Mode, Scope};
use crate::verdict::Verdict;

/// The policies that are in effect, with an index over their scopes. Build one when policies change,
/// and share it.
pub struct PolicySet {
    digest: String,
    /// By name, so that what is found in order is named in order.
    rules: Vec<Entry>,
    index: Index,
}

/// A policy in effect.
pub(crate) struct Entry {
    pub(crate) rule: Arc<Rule>,
    /// It decides nothing.
    pub(crate) audited: bool,
}

impl PolicySet {
    /// All of these. Of two objects with the same scope and name the later one counts.
    pub fn of(objects: impl IntoIterator<Item = Compiled>) -> Self {
        let objects: BTreeMap<(Scope, String), Compiled> = objects
            .into_iter()
            .map(|it| ((it.scope().clone(), it.name().to_owned()), it))
            .collect();
        let mut digester = Digester::new("countersign policy set v1");
        for ((scope, name), object) in &objects {
            digest::add_scope(&mut digester, scope);
            digester.add(name);
            digester.add(object.digest());
        }
        let mut rules = Vec::new();
        for ((scope, _), object) in &objects {
            let audited = match object.mode() {
                Mode::Enforce => false,
                Mode::Audit => true,
                Mode::Disabled => continue,
            };
            rules.extend(object.rules().iter().map(|rule| {
                let rule = Arc::clone(rule);
                (scope, Entry { rule, audited })
            }));
        }
        Self::indexed(digester.finish(), rules)
    }

    /// The policies of one object, deciding, whatever its mode.
    pub(crate) fn enforcing(object: &Compiled) -> Self {
        let rules = object.rules().iter().map(|rule| {
            let rule = Arc::clone(rule);
            let audited = false;
            (object.scope(), Entry { rule, audited })
        });
        Self::indexed(object.digest().to_owned(), rules.collect())
    }

    fn indexed(digest: String, mut rules: Vec<(&Scope, Entry)>) -> Self {
        rules.sort_by(|(_, a), (_, b)| a.rule.name.cmp(&b.rule.name));
        let index = Index::of(rules.iter().map(|(scope, it)| (*scope, &it.rule.axes)));
        Self {
            digest,
            rules: rules.into_iter().map(|(_, it)| it).collect(),
            index,
        }
    }

    /// `sha256:<64 hex digits>` over all its objects, disabled ones too.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How many policies can say something: all but those of disabled objects.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Can none?
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Asks all policies whether an agent may do something: default deny, forbid wins, and a forbid
    /// that fails denies. To ask the same for several agents, prepare a [`Request`] and
    /// [`Self::ask`].
    pub fn evaluate(
        &self,
        agent: &AgentFacts,
        action: &str,
        resource: &ResourceFacts,
        context: &ContextFacts,
    ) -> Verdict {
        Request::prepare(action, resource, context).evaluate(self, &PreparedAgent::of(agent))
    }

    /// Puts a request to all policies, to be asked for several agents.
    pub fn ask<'a>(&'a self, request: &'a Request<'a>) -> Inquiry<'a> {
        Inquiry::new(self, request)
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// By its position in the index.
    pub(crate) fn entry(&self, position: u32) -> Option<&Entry> {
        self.rules.get(position as usize)
    }
}

impl Default for PolicySet {
    fn default() -> Self {
        Self::of([])
    }
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySet")
            .field("digest", &self.digest)
            .field("policies", &self.rules.len())
            .finish_non_exhaustive()
    }
}

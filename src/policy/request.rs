//! A request, which may be asked for every agent of a chain.

use std::cell::OnceCell;

use crate::direct::Facts;
use crate::facts::{ContextFacts, ResourceFacts};
use crate::policy_set::PolicySet;
use crate::prepared::PreparedAgent;
use crate::verdict::Verdict;
use crate::vocabulary::Vocabulary;
use crate::whole::Whole;

/// The longest path that policies are asked about, in bytes.
pub const MAX_PATH_BYTES: usize = 4_096;
/// The most collections that a resource is in.
pub const MAX_COLLECTIONS: usize = 64;

/// What is asked, of whichever agent.
#[derive(Debug)]
pub struct Request<'a> {
    /// `None`: its facts can't be put to policies.
    pub(crate) asked: Option<Asked<'a>>,
}

/// Facts that can be put to policies.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    words: &'static Vocabulary,
    verb: &'a str,
    /// What the verb is asked as.
    action: &'static str,
    resource: &'a ResourceFacts,
    context: &'a ContextFacts,
    /// Built for the first policy that wants it; none if it can't be.
    whole: OnceCell<Option<Whole>>,
}

impl<'a> Request<'a> {
    /// Takes what is asked. `context.call.action` is `action`, whatever `context` says itself.
    ///
    /// Facts that can't be put to policies (a path beyond [`MAX_PATH_BYTES`] or in more than
    /// [`MAX_COLLECTIONS`], a time before our era) make every answer [`crate::Kind::Failed`].
    pub fn prepare(
        action: &'a str,
        resource: &'a ResourceFacts,
        context: &'a ContextFacts,
    ) -> Self {
        Self {
            asked: Asked::of(action, resource, context),
        }
    }

    /// Asks all policies: default deny, forbid wins, and a forbid that fails denies. For several
    /// agents ask [`PolicySet::ask`].
    pub fn evaluate(&self, policies: &PolicySet, agent: &PreparedAgent) -> Verdict {
        policies.ask(self).of(agent)
    }
}

impl<'a> Asked<'a> {
    fn of(verb: &'a str, resource: &'a ResourceFacts, context: &'a ContextFacts) -> Option<Self> {
        let words = Vocabulary::shipped()?;
        let path = resource.path.as_str();
        if path.len() > MAX_PATH_BYTES || above(path).nth(MAX_COLLECTIONS).is_some() {
            return None;
        }
        let certificate = context.certificate.as_ref().map(|it| it.not_after);
        let delegation = context.delegation.as_ref().map(|it| it.expires);
        let mut times = [Some(context.now), certificate, delegation].into_iter();
        if !times.all(|it| it.is_none_or(|it| words.datetimes.has(it))) {
            return None;
        }
        Some(Self {
            words,
            verb,
            action: words.action(verb).uid().eid().as_ref(),
            resource,
            context,
            whole: OnceCell::new(),
        })
    }

    /// The id of the action that it is asked as.
    pub(crate) fn action(&self) -> &'static str {
        self.action
    }

    pub(crate) fn path(&self) -> &'a str {
        &self.resource.path
    }

    /// Does what is said of the agent agree with what is said of the chain's root? An owner has one
    /// type.
    pub(crate) fn agrees_with(&self, agent: &PreparedAgent) -> bool {
        let (owner, of_type) = agent.owner();
        let root = self.context.delegation.as_ref();
        root.is_none_or(|it| it.root_owner != owner || it.root_owner_type == of_type)
    }

    /// With an agent, as they lie.
    pub(crate) fn facts<'b>(&'b self, agent: &'b PreparedAgent) -> Facts<'b> {
        Facts {
            agent,
            action: self.action,
            verb: self.verb,
            resource: self.resource,
            context: self.context,
        }
    }

    /// As Cedar takes it; `None` if it can't be built.
    pub(crate) fn whole(&self) -> Option<&Whole> {
        let build = || Whole::of(self.verb, self.resource, self.context, self.words);
        self.whole.get_or_init(build).as_ref()
    }
}

/// The paths above a path, the longest first: `a/b` and `a` of `a/b/c`.
pub(crate) fn above(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/')
        .filter(|(at, _)| *at > 0)
        .filter_map(|(at, _)| path.get(..at))
}

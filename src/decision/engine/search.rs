//! What would be allowed?

use std::collections::BTreeSet;

use countersign_core::Grant;
use jiff::Timestamp;

use super::draft::Draft;
use super::request::{is_action, is_path};
use super::seen::Seen;
use super::{Counting, Engine};
use crate::{Caller, Found, Question, ResourceRef, Search};

/// So many candidates are asked about for a page, a second's work at most. With none of them allowed
/// a page is empty, and says where to go on.
const MAX_CANDIDATES: usize = 10_000;
/// The longest page.
const MAX_PAGE: usize = 1_000;
/// What a grant of `*` is searched for: the verbs that policies know by name.
const VERBS: [&str; 13] = [
    "approve", "create", "delegate", "delete", "execute", "get", "invoke", "list", "read", "send",
    "update", "watch", "write",
];

/// What is looked for.
#[derive(Debug, Clone, Copy)]
enum Sought {
    Agents,
    Actions,
    Resources,
}

impl Engine {
    /// Looks for agents, actions or resources that would be allowed at `now`, in their order.
    /// Nothing is counted, and nothing of it is anybody's behaviour.
    ///
    /// Candidates are all agents; the actions of the agent's grants and its owner's; and the
    /// resources that those, or the rules of how sensitive resources are, name without a wildcard. No
    /// certificate is shown in a search, so only a caller that may vouch for agents finds anything.
    /// A search that doesn't leave out exactly one of the three finds nothing.
    pub fn search(&self, caller: &Caller, search: &Search, now: Timestamp) -> Found {
        let Some((sought, question)) = question(search) else {
            return Found::default();
        };
        let after = search.after.as_deref().unwrap_or_default();
        let (candidates, more) = self.candidates(sought, search, after);
        let limit = search.limit.clamp(1, MAX_PAGE);
        self.page(caller, question, sought, candidates, more, limit, now)
    }

    #[allow(clippy::too_many_arguments, reason = "each is one thing, used once")]
    fn page(
        &self,
        caller: &Caller,
        mut question: Question,
        sought: Sought,
        candidates: Vec<String>,
        more: bool,
        limit: usize,
        now: Timestamp,
    ) -> Found {
        let mut found = Found::default();
        let count = candidates.len();
        for (place, candidate) in (1..).zip(candidates) {
            match sought {
                Sought::Agents => question.agent.clone_from(&candidate),
                Sought::Actions => question.action.clone_from(&candidate),
                Sought::Resources => question.resource.path.clone_from(&candidate),
            }
            let seen = Seen::of(&self.world, &question.agent);
            let mut draft = Draft::new();
            let outcome = self.judge(&seen, caller, &question, now, Counting::Nothing, &mut draft);
            if outcome.is_ok() {
                found.results.push(candidate.clone());
            }
            let full = found.results.len() >= limit;
            let last = place == count;
            if (full && !last) || (last && more) {
                found.next = Some(candidate);
                break;
            }
        }
        found
    }

    /// The first of them after `after`; and whether there are more.
    fn candidates(&self, sought: Sought, search: &Search, after: &str) -> (Vec<String>, bool) {
        let maps = self.world.read();
        if let Sought::Agents = sought {
            let names = maps.agents().map(|it| &it.spiffe_id);
            let mut names: Vec<_> = names.filter(|it| &***it > after).cloned().collect();
            drop(maps);
            let more = names.len() > MAX_CANDIDATES;
            if more {
                names.select_nth_unstable(MAX_CANDIDATES);
                names.truncate(MAX_CANDIDATES);
            }
            names.sort_unstable();
            return (
                names.iter().map(|it| it.as_ref().to_owned()).collect(),
                more,
            );
        }
        let agent = search.agent.as_deref().unwrap_or_default();
        let Some(identity) = maps.agent(agent) else {
            return (Vec::new(), false);
        };
        let owner = maps.owner(&identity.owner);
        let owners: &[Grant] = owner.map_or(&[], |it| &it.grants);
        let grants = || identity.grants.iter().chain(owners);
        let names: BTreeSet<&str> = match sought {
            Sought::Actions => {
                let actions = grants().flat_map(|it| &it.actions).map(String::as_str);
                let any = grants().any(|it| it.actions.iter().any(|it| it == "*"));
                let verbs = VERBS.into_iter().filter(|_| any);
                actions.filter(|it| is_action(it)).chain(verbs).collect()
            }
            _ => {
                let paths = grants().flat_map(|it| &it.resources).map(String::as_str);
                let paths = paths.chain(maps.rules.named());
                paths.filter(|it| is_path(it)).collect()
            }
        };
        let mut names = names.into_iter().filter(|it| *it > after);
        let some = names.by_ref().take(MAX_CANDIDATES).map(str::to_owned);
        let some = some.collect();
        (some, names.next().is_some())
    }
}

/// The question to be filled in, and with what.
fn question(search: &Search) -> Option<(Sought, Question)> {
    let sought = match (&search.agent, &search.action, &search.resource) {
        (None, Some(_), Some(_)) => Sought::Agents,
        (Some(_), None, Some(_)) => Sought::Actions,
        (Some(_), Some(_), None) => Sought::Resources,
        _ => return None,
    };
    let question = Question {
        agent: search.agent.clone().unwrap_or_default(),
        certificate: None,
        action: search.action.clone().unwrap_or_default(),
        resource: search.resource.clone().unwrap_or_else(|| ResourceRef {
            kind: search.resource_kind.clone().unwrap_or_default(),
            ..ResourceRef::default()
        }),
        authority: search.authority.clone(),
        call: search.call.clone(),
    };
    Some((sought, question))
}

//! Which resources are tasks, and the rules that tell when they are over.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign_api as api;
use countersign_tasks::{RuleError, Rules, defaults};

use super::KindKey;

/// All kinds of tasks: those compiled in, and those of TaskKind objects, which override.
#[derive(Debug)]
pub(crate) struct Kinds {
    compiled_in: HashMap<KindKey, Rule>,
    all: ArcSwap<HashMap<KindKey, Rule>>,
}

/// The rules of a kind, or why there are none that work.
pub(crate) type Rule = Result<Arc<Rules>, RuleError>;

impl Kinds {
    /// The kinds that are compiled in.
    pub(crate) fn compiled_in() -> Self {
        let kinds = defaults().iter().map(|kind| {
            let rules = Rules::compile(kind.version, kind.succeeded, kind.failed);
            (KindKey::new(kind.group, kind.resource), rules.map(Arc::new))
        });
        let compiled_in: HashMap<_, _> = kinds.collect();
        Self {
            all: ArcSwap::from_pointee(compiled_in.clone()),
            compiled_in,
        }
    }

    /// The rules for a kind; `None` when it isn't a task.
    pub(crate) fn rules(&self, kind: &KindKey) -> Option<Rule> {
        self.all.load().get(kind).cloned()
    }

    /// Takes a TaskKind in.
    pub(crate) fn put(&self, name: &str, spec: &api::TaskKindSpec) -> Rule {
        let compiled = Rules::compile(&spec.version, &spec.succeeded, &spec.failed).map(Arc::new);
        self.change(KindKey::parse(name), Some(compiled.clone()));
        compiled
    }

    /// Forgets a TaskKind; one that is compiled in is used again.
    pub(crate) fn remove(&self, name: &str) {
        let kind = KindKey::parse(name);
        let default = self.compiled_in.get(&kind).cloned();
        self.change(kind, default);
    }

    fn change(&self, kind: KindKey, rule: Option<Rule>) {
        self.all.rcu(|all| {
            let mut all = HashMap::clone(all);
            match &rule {
                Some(rule) => all.insert(kind.clone(), rule.clone()),
                None => all.remove(&kind),
            };
            all
        });
    }
}

//! How sensitive resources are.

use std::cmp::Reverse;
use std::slice;

use countersign_core::{Constraints, DataClass, Grant, permits};

use crate::{ResourceRule, Rules};

/// Where data may be whose rules have no place in common: an empty list would say "anywhere".
const NOWHERE: &str = "nowhere";

/// [`Rules`], ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct HeldRules {
    pub(crate) rules: Rules,
    /// The most sensitive first.
    classes: Vec<Class>,
}

#[derive(Debug)]
struct Class {
    /// Its pattern, for any action: patterns are read as those of grants, by the same code.
    pattern: Grant,
    sensitivity: DataClass,
    residency: Vec<String>,
}

impl HeldRules {
    pub(crate) fn new(rules: Rules) -> Self {
        let mut classes: Vec<Class> = rules.resources.iter().map(Class::of).collect();
        classes.sort_by_key(|it| Reverse(it.sensitivity));
        Self { rules, classes }
    }

    /// How sensitive the resource is, and where its data may be: of all rules that match it the most
    /// sensitive one, and what all that name places have in common, or `nowhere`. A resource that none
    /// matches is `Restricted`. Costs one comparison of paths for each rule.
    pub(crate) fn classify(&self, path: &str) -> (DataClass, Vec<String>) {
        let mut sensitivity = None;
        let mut places: Option<Vec<String>> = None;
        let matching = self.classes.iter().filter(|it| it.matches(path));
        for class in matching {
            sensitivity.get_or_insert(class.sensitivity);
            if class.residency.is_empty() {
                continue;
            }
            match &mut places {
                None => places = Some(class.residency.clone()),
                Some(places) => places.retain(|it| class.residency.contains(it)),
            }
        }
        let places = match places {
            Some(places) if places.is_empty() => vec![NOWHERE.to_owned()],
            places => places.unwrap_or_default(),
        };
        (sensitivity.unwrap_or(DataClass::Restricted), places)
    }

    /// The paths of rules that name one resource.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        let paths = self.classes.iter().flat_map(|it| &it.pattern.resources);
        paths.map(String::as_str).filter(|it| !it.contains('*'))
    }
}

impl Class {
    fn of(rule: &ResourceRule) -> Self {
        Self {
            pattern: Grant {
                actions: vec!["*".to_owned()],
                resources: vec![rule.pattern.clone()],
                constraints: Constraints::default(),
            },
            sensitivity: rule.sensitivity,
            residency: rule.residency.clone(),
        }
    }

    fn matches(&self, path: &str) -> bool {
        permits(slice::from_ref(&self.pattern), "any", path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str, sensitivity: DataClass, residency: &[&str]) -> ResourceRule {
        ResourceRule {
            pattern: pattern.to_owned(),
            sensitivity,
            residency: residency.iter().map(|&it| it.to_owned()).collect(),
        }
    }

    #[test]
    fn the_most_sensitive_rule_counts_and_what_none_matches_is_restricted() {
        let held = HeldRules::new(Rules {
            resources: vec![
                rule("ledger/*", DataClass::Internal, &["eu", "us"]),
                rule("ledger/salaries/*", DataClass::Restricted, &[]),
                rule("ledger/invoices/*", DataClass::Confidential, &["eu", "uk"]),
                rule("docs/*", DataClass::Public, &[]),
                rule("docs/mixed", DataClass::Public, &["eu"]),
                rule("docs/mixed", DataClass::Public, &["us"]),
            ],
            ..Rules::default()
        });
        let class = |path| held.classify(path);
        let places = |all: &[&str]| all.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            class("ledger/7"),
            (DataClass::Internal, places(&["eu", "us"]))
        );
        assert_eq!(
            class("ledger/salaries/7"),
            (DataClass::Restricted, places(&["eu", "us"]))
        );
        assert_eq!(
            class("ledger/invoices/7"),
            (DataClass::Confidential, places(&["eu"]))
        );
        assert_eq!(class("docs/7"), (DataClass::Public, places(&[])));
        assert_eq!(
            class("docs/mixed"),
            (DataClass::Public, places(&["nowhere"]))
        );
        assert_eq!(class("other"), (DataClass::Restricted, places(&[])));
        assert_eq!(class("docs"), (DataClass::Restricted, places(&[])));
    }
}

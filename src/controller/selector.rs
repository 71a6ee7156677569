//! Label selectors, as the API server reads them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// Do `labels` match? An empty selector matches everything; an unknown operator nothing.
pub(crate) fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten();
    let expressions = selector.match_expressions.iter().flatten();
    equal
        .into_iter()
        .all(|(key, value)| labels.get(key) == Some(value))
        && expressions.into_iter().all(|it| {
            let values = it.values.as_deref().unwrap_or_default();
            let value = labels.get(&it.key);
            match it.operator.as_str() {
                "In" => value.is_some_and(|value| values.contains(value)),
                "NotIn" => value.is_none_or(|value| !values.contains(value)),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    #[test]
    fn every_operator_reads_as_the_api_server_has_it() {
        let labels = BTreeMap::from([("team".to_owned(), "finance".to_owned())]);
        let one = |key: &str, operator: &str, values: &[&str]| LabelSelector {
            match_labels: None,
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: key.to_owned(),
                operator: operator.to_owned(),
                values: Some(values.iter().map(|&it| it.to_owned()).collect()),
            }]),
        };
        assert!(matches(&LabelSelector::default(), &labels));
        assert!(matches(&one("team", "In", &["finance", "hr"]), &labels));
        assert!(!matches(&one("team", "In", &["hr"]), &labels));
        assert!(matches(&one("team", "NotIn", &["hr"]), &labels));
        assert!(matches(&one("absent", "NotIn", &["hr"]), &labels));
        assert!(matches(&one("team", "Exists", &[]), &labels));
        assert!(!matches(&one("team", "DoesNotExist", &[]), &labels));
        assert!(!matches(&one("team", "Near", &["finance"]), &labels));
        let equal = LabelSelector {
            match_labels: Some(labels.clone()),
            match_expressions: None,
        };
        assert!(matches(&equal, &labels));
        assert!(!matches(&equal, &BTreeMap::new()));
    }
}

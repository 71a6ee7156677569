//! Sources and facts that tests start from.

use std::collections::BTreeMap;

use countersign_core::DataClass;

use crate::{
    AgentFacts, CallFacts, CertificateFacts, Compiled, ContextFacts, DelegationFacts, Kind, Mode,
    PolicySet, PolicySource, PolicyTest, PolicyText, Problem, ResourceFacts, Scope, SignalFacts,
    TestContext, TestPrincipal, TestResource, Verdict, compile,
};

/// An object `guard` of the cluster with policies `p0`, `p1` and so on.
pub(super) fn cluster(texts: &[&str]) -> PolicySource {
    object(Scope::Cluster, "guard", texts)
}

/// An object `grants` of a namespace with policies `p0`, `p1` and so on.
pub(super) fn namespaced(namespace: &str, texts: &[&str]) -> PolicySource {
    object(Scope::Namespace(namespace.to_owned()), "grants", texts)
}

pub(super) fn object(scope: Scope, name: &str, texts: &[&str]) -> PolicySource {
    let text = |(number, cedar): (usize, &&str)| PolicyText {
        id: format!("p{number}"),
        cedar: (*cedar).to_owned(),
        obligations: Vec::new(),
    };
    PolicySource {
        scope,
        name: name.to_owned(),
        mode: Mode::Enforce,
        policies: texts.iter().enumerate().map(text).collect(),
        tests: Vec::new(),
    }
}

/// That the text, alone in an object, is fine.
pub(super) fn accepts(text: &str) -> Compiled {
    good(&cluster(&[text]))
}

pub(super) fn good(source: &PolicySource) -> Compiled {
    compile(source).unwrap_or_else(|all| panic!("{}", lines(&all)))
}

/// What is wrong with the text, alone in an object: one problem, as it is shown.
pub(super) fn refuses(text: &str) -> Problem {
    let mut problems = compile(&cluster(&[text])).expect_err(text);
    assert_eq!(problems.len(), 1, "{}", lines(&problems));
    problems.remove(0)
}

pub(super) fn lines(problems: &[Problem]) -> String {
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    shown.join("\n")
}

pub(super) fn set(sources: &[PolicySource]) -> PolicySet {
    PolicySet::of(sources.iter().map(good))
}

/// What the policies say to the request that tests usually make: `reader` of `finance` reads
/// `ledger/invoices/7`.
pub(super) fn ask(sources: &[PolicySource]) -> Verdict {
    set(sources).evaluate(
        &agent("finance", "reader"),
        "read",
        &resource("ledger/invoices/7"),
        &context(),
    )
}

pub(super) fn names(all: &[crate::PolicyName]) -> Vec<&str> {
    all.iter().map(crate::PolicyName::as_str).collect()
}

/// That a verdict is a plain one.
#[track_caller]
pub(super) fn assert_verdict(verdict: &Verdict, kind: Kind, policies: &[&str]) {
    assert_eq!(verdict.kind, kind, "{verdict:?}");
    assert_eq!(verdict.allowed, kind == Kind::Permitted);
    assert_eq!(names(&verdict.policies), policies, "{verdict:?}");
}

pub(super) fn agent(namespace: &str, name: &str) -> AgentFacts {
    AgentFacts {
        spiffe_id: format!("spiffe://example.org/ns/{namespace}/agent/{name}"),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        trust_domain: "example.org".to_owned(),
        owner: "alice".to_owned(),
        owner_type: "Person".to_owned(),
        task: "jobs.batch/reconcile".to_owned(),
        claimed: BTreeMap::from([("purpose".to_owned(), "reconciliation".to_owned())]),
    }
}

pub(super) fn resource(path: &str) -> ResourceFacts {
    ResourceFacts {
        kind: "document".to_owned(),
        path: path.to_owned(),
        sensitivity: DataClass::Confidential,
        residency: vec!["eu".to_owned()],
        properties: BTreeMap::from([("ownerID".to_owned(), "alice".to_owned())]),
    }
}

pub(super) fn context() -> ContextFacts {
    ContextFacts {
        now: "2026-11-24T12:00:00.250Z".parse().unwrap(),
        source_ip: Some("10.1.2.3".parse().unwrap()),
        certificate: Some(CertificateFacts {
            serial_number: "4f2a".to_owned(),
            not_after: "2026-11-24T12:05:00Z".parse().unwrap(),
        }),
        call: CallFacts {
            action: String::new(),
            tool: Some("search".to_owned()),
            bytes: 2,
            destructive: false,
            audience: Some("ledger".to_owned()),
        },
        signals: SignalFacts {
            risk: 10,
            anomaly: 5,
            codes: vec!["caep/risk-level-change".to_owned()],
            age_milliseconds: 100,
        },
        delegation: Some(DelegationFacts {
            depth: 2,
            root_owner: "bob".to_owned(),
            root_owner_type: "BusinessUnit".to_owned(),
            requester: Some("bob@example.com".to_owned()),
            expires: "2026-11-24T13:00:00Z".parse().unwrap(),
        }),
    }
}

/// A test within an object: `reader` reads `ledger/invoices/7`.
pub(super) fn test(name: &str, allowed: bool, policies: Option<&[&str]>) -> PolicyTest {
    PolicyTest {
        name: name.to_owned(),
        principal: TestPrincipal {
            name: "reader".to_owned(),
            namespace: "finance".to_owned(),
            owner: "alice".to_owned(),
            attributes: vec![("purpose".to_owned(), "audit".to_owned())],
        },
        action: "read".to_owned(),
        resource: TestResource {
            kind: "document".to_owned(),
            path: "ledger/invoices/7".to_owned(),
            sensitivity: DataClass::Internal,
            residency: Vec::new(),
            properties: Vec::new(),
        },
        context: TestContext::default(),
        allowed,
        policies: policies.map(|all| all.iter().map(|it| (*it).to_owned()).collect()),
    }
}

//! The AuthZEN working group's interop scenario of searches: six users, twenty records, and rules by
//! role, department and ownership, written here as policies of our own. Each search must find what
//! the rules say, and what each evaluation permits.

use serde_json::{Value, json};

use crate::client::{Client, EVALUATION, SEARCH_ACTION, SEARCH_RESOURCE, SEARCH_SUBJECT};
use crate::engine;

/// Id, role, department.
const USERS: [(&str, &str, &str); 6] = [
    ("alice", "manager", "Sales"),
    ("bob", "employee", "Legal"),
    ("carol", "contractor", "Legal"),
    ("dan", "manager", "Finance"),
    ("erin", "employee", "Finance"),
    ("felix", "contractor", "Accounting"),
];
/// The departments of records 101 to 120; the users own them in turn.
const DEPARTMENTS: [&str; 20] = [
    "Legal",
    "Legal",
    "Legal",
    "Accounting",
    "Legal",
    "Accounting",
    "Sales",
    "Legal",
    "Accounting",
    "Sales",
    "Accounting",
    "Legal",
    "Sales",
    "Accounting",
    "Finance",
    "Legal",
    "Legal",
    "Accounting",
    "Legal",
    "Accounting",
];
const ACTIONS: [&str; 3] = ["delete", "edit", "view"];

/// Id, department, owner.
fn records() -> Vec<(String, &'static str, &'static str)> {
    let owners = USERS.iter().cycle().map(|it| it.0);
    let records = (101..).zip(DEPARTMENTS).zip(owners);
    records
        .map(|((id, department), owner)| (id.to_string(), department, owner))
        .collect()
}

/// The rules, as the scenario has them.
fn may(user: (&str, &str, &str), action: &str, record: (&str, &str)) -> bool {
    let ((id, role, own), (department, owner)) = (user, record);
    let manager = role == "manager";
    match action {
        "view" => owner == id || department == own || manager,
        "edit" => owner == id || (manager && department == own),
        _ => owner == id,
    }
}

/// Facts about records are in the policies: whoever asks says nothing of them.
fn pdp() -> Client {
    let records = records();
    let ids = |of: &dyn Fn(&(String, &str, &str)) -> bool| {
        let ids = records
            .iter()
            .filter(|it| of(it))
            .map(|it| format!("\"{}\"", it.0));
        format!("[{}]", ids.collect::<Vec<_>>().join(", "))
    };
    let permit = |actions: &str, when: &str| {
        format!(
            r#"permit (principal, action, resource)
               when {{
                 resource.type == "record" && {actions}.contains(context.call.action)
                 && principal.claimed.hasTag("role") && principal.claimed.hasTag("department")
                 && {when}
               }};"#
        )
    };
    let manager = r#"principal.claimed.getTag("role") == "manager""#;
    let mut policies = vec![permit(r#"["view"]"#, manager)];
    for (user, ..) in USERS {
        let owned = ids(&|it| it.2 == user);
        let when = format!("principal.spiffeID == \"{user}\" && {owned}.contains(resource.path)");
        policies.push(permit(r#"["view", "edit", "delete"]"#, &when));
    }
    for department in ["Legal", "Accounting", "Sales", "Finance"] {
        let its = ids(&|it| it.1 == department);
        let there = format!(
            "principal.claimed.getTag(\"department\") == \"{department}\" && {its}.contains(resource.path)"
        );
        policies.push(permit(r#"["view"]"#, &there));
        policies.push(permit(r#"["edit"]"#, &format!("{manager} && {there}")));
    }
    let claims = USERS.map(|it| [("role", it.1), ("department", it.2)]);
    let agents: Vec<engine::Agent<'_>> = USERS
        .iter()
        .zip(&claims)
        .map(|(it, claims)| (it.0, &claims[..]))
        .collect();
    let paths: Vec<_> = records.iter().map(|it| it.0.as_str()).collect();
    engine::client(&agents, &ACTIONS, &paths, &policies)
}

fn found(answer: &Value, by: &str) -> Vec<String> {
    let results = answer["results"].as_array().unwrap().iter();
    results
        .map(|it| it[by].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn sixty_subject_searches_find_who_may() {
    let pdp = pdp();
    for (id, department, owner) in records() {
        for action in ACTIONS {
            let request = json!({
                "subject": {"type": "user"}, "action": {"name": action},
                "resource": {"type": "record", "id": id}
            });
            let expected = USERS
                .into_iter()
                .filter(|it| may(*it, action, (department, owner)));
            let expected: Vec<_> = expected.map(|it| it.0).collect();
            let answer = pdp.ask(SEARCH_SUBJECT, &request).await;
            assert_eq!(found(&answer, "id"), expected, "{action} {id}");
        }
    }
}

#[tokio::test]
async fn eighteen_resource_searches_find_what_may_be_done_to() {
    let (pdp, records) = (pdp(), records());
    for user in USERS {
        for action in ACTIONS {
            let request = json!({
                "subject": {"type": "user", "id": user.0}, "action": {"name": action},
                "resource": {"type": "record"}
            });
            let expected = records.iter().filter(|it| may(user, action, (it.1, it.2)));
            let expected: Vec<_> = expected.map(|it| it.0.clone()).collect();
            let answer = pdp.ask(SEARCH_RESOURCE, &request).await;
            assert_eq!(found(&answer, "id"), expected, "{action} {}", user.0);
        }
    }
}

#[tokio::test]
async fn a_hundred_and_twenty_action_searches_find_what_evaluations_permit() {
    let pdp = pdp();
    for user in USERS {
        for (id, department, owner) in records() {
            let mut request = json!({
                "subject": {"type": "user", "id": user.0},
                "resource": {"type": "record", "id": id}
            });
            let answer = pdp.ask(SEARCH_ACTION, &request).await;
            let found = found(&answer, "name");
            for action in ACTIONS {
                let expected = may(user, action, (department, owner));
                assert_eq!(found.iter().any(|it| it == action), expected);
                request["action"] = json!({"name": action});
                let answer = pdp.ask(EVALUATION, &request).await;
                assert_eq!(
                    answer["decision"],
                    json!(expected),
                    "{action} {id} {}",
                    user.0
                );
            }
        }
    }
}

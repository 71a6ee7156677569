//! The AuthZEN working group's interop scenario of a shared list of things to do (version 1.0, draft
//! 02: forty evaluations and three batches). Its rules are written here as policies of our own, and
//! its requests are made from them.

use serde_json::{Value, json};

use crate::client::{Client, EVALUATION, EVALUATIONS};
use crate::engine;

/// A user: the id of the token, the address that owns things, the roles.
struct User {
    id: &'static str,
    email: &'static str,
    roles: &'static str,
}

const RICK: User = User {
    id: "CiRmZDA2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
    email: "rick@the-citadel.com",
    roles: "admin evil_genius",
};
const MORTY: User = User {
    id: "CiRmZDE2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
    email: "morty@the-citadel.com",
    roles: "editor",
};
const SUMMER: User = User {
    id: "CiRmZDI2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
    email: "summer@the-smiths.com",
    roles: "editor",
};
const BETH: User = User {
    id: "CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
    email: "beth@the-smiths.com",
    roles: "viewer",
};
const JERRY: User = User {
    id: "CiRmZDQ2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
    email: "jerry@the-smiths.com",
    roles: "viewer",
};
const USERS: [User; 5] = [RICK, MORTY, SUMMER, BETH, JERRY];
const TODO: &str = "7240d0db-8ff0-41ec-98b2-34a096273b9f";

/// A permit of what isn't one of the actions that policies know by name.
fn permit(actions: &str, when: &str) -> String {
    format!(
        r#"permit (
             principal in Countersign::Namespace::"{}",
             action == Countersign::Action::"other",
             resource
           ) when {{ {actions}.contains(context.call.action) && ({when}) }};"#,
        engine::NAMESPACE,
    )
}

fn role(role: &str) -> String {
    format!(
        r#"(principal.claimed.hasTag("roles") && principal.claimed.getTag("roles") like "*{role}*")"#
    )
}

const OWNED: &str = r#"(resource.hasTag("ownerID") && principal.claimed.hasTag("email")
    && resource.getTag("ownerID") == principal.claimed.getTag("email"))"#;

fn pdp() -> Client {
    let (admin, editor, genius) = (role("admin"), role("editor"), role("evil_genius"));
    let policies = [
        permit(r#"["can_read_user", "can_read_todos"]"#, "true"),
        permit(r#"["can_create_todo"]"#, &format!("{admin} || {editor}")),
        permit(r#"["can_update_todo"]"#, &genius),
        permit(r#"["can_delete_todo"]"#, &admin),
        permit(
            r#"["can_update_todo", "can_delete_todo"]"#,
            &format!("{editor} && {OWNED}"),
        ),
    ];
    let claims = USERS.map(|it| [("email", it.email), ("roles", it.roles)]);
    let agents: Vec<engine::Agent<'_>> = USERS
        .iter()
        .zip(&claims)
        .map(|(it, claims)| (it.id, &claims[..]))
        .collect();
    engine::client(&agents, &["*"], &["*"], &policies)
}

fn owned_by(user: &User) -> Value {
    json!({"type": "todo", "id": TODO, "properties": {"ownerID": user.email}})
}

fn evaluation(user: &User, action: &str, resource: &Value) -> Value {
    json!({
        "subject": {"type": "user", "id": user.id},
        "action": {"name": action},
        "resource": resource
    })
}

/// The eight evaluations of a user, and who else owns what isn't theirs.
fn evaluations(user: &User, other: &User, expected: [bool; 8]) -> Vec<(Value, bool)> {
    let list = json!({"type": "todo", "id": "todo-1"});
    let person = |it: &User| json!({"type": "user", "id": it.email});
    let requests = [
        evaluation(user, "can_read_user", &person(&BETH)),
        evaluation(user, "can_read_user", &person(user)),
        evaluation(user, "can_read_todos", &list),
        evaluation(user, "can_create_todo", &list),
        evaluation(user, "can_update_todo", &owned_by(other)),
        evaluation(
            user,
            "can_update_todo",
            &owned_by(if user.id == RICK.id { &MORTY } else { user }),
        ),
        evaluation(user, "can_delete_todo", &owned_by(other)),
        evaluation(
            user,
            "can_delete_todo",
            &owned_by(if user.id == RICK.id { &MORTY } else { user }),
        ),
    ];
    requests.into_iter().zip(expected).collect()
}

#[tokio::test]
async fn forty_evaluations_come_out_as_published() {
    let (yes, no) = (true, false);
    let everything = [yes; 8];
    let their_own = [yes, yes, yes, yes, no, yes, no, yes];
    let looking = [yes, yes, yes, no, no, no, no, no];
    let all = [
        evaluations(&RICK, &RICK, everything),
        evaluations(&MORTY, &RICK, their_own),
        evaluations(&SUMMER, &RICK, their_own),
        evaluations(&BETH, &RICK, looking),
        evaluations(&JERRY, &RICK, looking),
    ]
    .concat();
    assert_eq!(all.len(), 40);
    let pdp = pdp();
    for (request, expected) in all {
        let answer = pdp.ask(EVALUATION, &request).await;
        assert_eq!(answer["decision"], json!(expected), "{request}: {answer}");
    }
}

#[tokio::test]
async fn three_batches_come_out_as_published() {
    let pdp = pdp();
    for (user, other, expected) in [
        (&RICK, &JERRY, [true, true]),
        (&MORTY, &MORTY, [false, true]),
        (&JERRY, &JERRY, [false, false]),
    ] {
        let request = json!({
            "subject": {"type": "user", "id": user.id},
            "action": {"name": "can_update_todo"},
            "resource": {},
            "context": {},
            "evaluations": [{"resource": owned_by(&RICK)}, {"resource": owned_by(other)}]
        });
        let answer = pdp.ask(EVALUATIONS, &request).await;
        let decisions = answer["evaluations"].as_array().unwrap().iter();
        let decisions: Vec<_> = decisions.map(|it| it["decision"].clone()).collect();
        assert_eq!(decisions, expected.map(Value::Bool), "{answer}");
    }
}

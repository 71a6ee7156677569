//! What people see and do with kubectl.

use serde_json::json;

use crate::harness::{DOMAIN, OWNER, World, identity};
use crate::support::{is, serial};

#[tokio::test]
async fn get_shows_an_identity_in_a_line_and_wide_shows_more() {
    let world = World::shared().await;
    let space = world.space("kubectl").await;
    let it = space.running("reader", json!({})).await;
    let n = space.name.as_str();
    let status = it.status.as_ref().unwrap();
    let expires = status.certificate.as_ref().unwrap().not_after.0.to_string();

    let table = world
        .plane()
        .kubectl(&["get", "agid", "-n", n])
        .await
        .unwrap();
    let mut lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let columns = ["NAME", "OWNER", "TASK", "READY", "STATE", "EXPIRES", "AGE"];
    assert_eq!(lines.next().unwrap(), columns);
    let line = lines.next().unwrap();
    assert_eq!(
        line[..6],
        ["reader", OWNER, "reader-job", "True", "Ready", &expires]
    );
    assert!(table.lines().all(|line| line.len() <= 80), "{table}");

    let wide = world
        .plane()
        .kubectl(&["get", "agid", "-n", n, "-o", "wide"])
        .await
        .unwrap();
    for words in [
        "REASON",
        "TRUSTDOMAIN",
        "SPIFFE-ID",
        "SERIAL",
        "RENEWAL",
        "Issued",
        DOMAIN,
        status.spiffe_id.as_deref().unwrap(),
        &serial(&it),
    ] {
        assert!(wide.contains(words), "{words}:\n{wide}");
    }
    let all = world
        .plane()
        .kubectl(&["get", "countersign", "-n", n])
        .await
        .unwrap();
    assert!(
        all.contains("agentidentity.countersign.dev/reader"),
        "{all}"
    );
}

#[tokio::test]
async fn wait_passes_when_the_condition_comes() {
    let world = World::shared().await;
    let space = world.space("kubectl").await;
    let n = space.name.as_str();
    space
        .create_identity(&identity("reader", "jobs.batch/work"))
        .await;
    let wait = async |what: &str, seconds: &str| {
        let arguments = ["wait", what, "agid/reader", "-n", n, "--timeout", seconds];
        world.plane().kubectl(&arguments).await
    };
    wait("--for=condition=Ready", "100ms").await.unwrap_err();
    let (ready, _) = tokio::join!(
        wait("--for=condition=Ready", "20s"),
        space.create_job_soon("work")
    );
    ready.unwrap();
    let (completed, ()) = tokio::join!(
        wait("--for=condition=Completed", "20s"),
        space.finish_job("work", "Succeeded")
    );
    completed.unwrap();
    let reason =
        "--for=jsonpath={.status.conditions[?(@.type==\"Completed\")].reason}=TaskSucceeded";
    wait(reason, "5s").await.unwrap();
    wait("--for=condition=Ready", "100ms").await.unwrap_err();
}

#[tokio::test]
async fn get_shows_trust_domains_owners_and_task_kinds() {
    let world = World::shared().await;
    world.until_domain_ready(DOMAIN).await;
    let domains = world
        .plane()
        .kubectl(&["get", "td", DOMAIN, "-o", "wide"])
        .await
        .unwrap();
    for words in [
        "NAME",
        "READY",
        "AUTHORITY",
        "EXPIRES",
        "PUBLISHED",
        "True",
        "AuthorityActive",
    ] {
        assert!(domains.contains(words), "{words}:\n{domains}");
    }
    let owners = world
        .plane()
        .kubectl(&["get", "agown", OWNER])
        .await
        .unwrap();
    for words in ["TYPE", "STATE", "Person", "Active"] {
        assert!(owners.contains(words), "{words}:\n{owners}");
    }
    let kinds = kube::Api::<countersign_api::TaskKind>::all(world.client().await);
    let object = json!({
        "metadata": {"name": "shown.kubectl.example"},
        "spec": {"version": "v1", "succeeded": "object.done"},
    });
    crate::support::create(&kinds, object).await.unwrap();
    crate::support::until(&kinds, "shown.kubectl.example", "ready", |it| {
        is(it, "Ready")
    })
    .await;
    let kinds = world
        .plane()
        .kubectl(&["get", "tkind", "-o", "wide"])
        .await
        .unwrap();
    assert!(kinds.contains("RulesCompiled"), "{kinds}");
}

#[tokio::test]
async fn a_refusal_is_an_event_that_describe_shows() {
    let world = World::shared().await;
    let space = world.space("kubectl").await;
    let object = crate::support::with(
        &identity("reader", "jobs.batch/work"),
        &json!({"spec": {"ownerRef": {"name": "nobody"}}}),
    );
    space.create_identity(&object).await;
    space.until_refused("reader", "UnknownOwner").await;
    let described = crate::harness::eventually("the event", async || {
        let describe = ["describe", "agid", "reader", "-n", &space.name];
        let text = world.plane().kubectl(&describe).await.unwrap();
        text.contains("Warning").then_some(text)
    })
    .await;
    assert!(described.contains("UnknownOwner"));
    assert!(
        described.contains("there is no AgentOwner nobody"),
        "{described}"
    );
}

#[tokio::test]
async fn explain_tells_what_a_field_is_for() {
    let world = World::shared().await;
    for (field, words) in [
        ("agid.spec", "activeDeadlineSeconds"),
        ("agid.spec.credential.delivery", "Default: Secret"),
        ("agid.status.conditions", "Completed"),
        ("td.spec.authority.builtIn", "epoch"),
        ("agown.spec.grants", "most that"),
        ("tkind.spec.succeeded", "CEL"),
    ] {
        let text = world.plane().kubectl(&["explain", field]).await.unwrap();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words), "{field}:\n{text}");
    }
}

#[tokio::test]
async fn identities_are_found_by_owner_task_trust_domain_and_state() {
    let world = World::shared().await;
    let space = world.space("kubectl").await;
    space.running("reader", json!({})).await;
    space
        .running("other", json!({"spec": {"desiredState": "Active"}}))
        .await;
    for (selector, found) in [
        (
            format!("spec.ownerRef.name={OWNER},spec.taskRef.name=reader-job"),
            true,
        ),
        (format!("spec.trustDomainRef.name={DOMAIN}"), true),
        ("spec.desiredState=Suspended".to_owned(), false),
    ] {
        let get = [
            "get",
            "agid",
            "-n",
            &space.name,
            "-o",
            "name",
            "--field-selector",
            &selector,
        ];
        let names = world.plane().kubectl(&get).await.unwrap();
        assert_eq!(names.contains("/reader"), found, "{selector}: {names}");
    }
}

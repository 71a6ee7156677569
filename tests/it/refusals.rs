//! What is refused, with a reason and a message that says what to do.

use serde_json::json;

use crate::harness::{DOMAIN, World, identity, job};
use crate::support::{create, delete, find, is, refusal, serial, uid, unique, with};

#[tokio::test]
async fn a_foreign_secret_stays_as_it_is_byte_for_byte() {
    let world = World::shared().await;
    let space = world.space("foreign").await;
    space.create_job(&job("work")).await;
    let foreign = json!({
        "metadata": {"name": "reader-identity", "labels": {"app": "somebody"}},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": "mine", "tls.key": "mine too"},
    });
    let before = create(&space.secrets(), foreign).await.unwrap();
    space
        .create_identity(&identity("reader", "jobs.batch/work"))
        .await;
    let message = space.until_refused("reader", "SecretConflict").await;
    assert!(message.contains("reader-identity"), "{message}");
    assert!(
        message.contains("choose another spec.credential.secret.name"),
        "{message}"
    );
    space.looked_at("reader").await;
    assert_eq!(space.secret("reader-identity").await.unwrap(), before);

    // Its end can't be seen, but any look finds it.
    delete(&space.secrets(), "reader-identity").await;
    space.looked_at("reader").await;
    space.until_ready("reader").await;

    space.finish_job("work", "Succeeded").await;
    space.until_no_secret("reader-identity").await;
}

#[tokio::test]
async fn the_end_of_an_identity_leaves_a_foreign_secret_alone() {
    let world = World::shared().await;
    let space = world.space("foreign").await;
    space.create_job(&job("work")).await;
    let foreign = json!({"metadata": {"name": "reader-identity"}, "stringData": {"it": "is mine"}});
    let before = create(&space.secrets(), foreign).await.unwrap();
    space
        .create_identity(&identity("reader", "jobs.batch/work"))
        .await;
    space.until_refused("reader", "SecretConflict").await;
    space.finish_job("work", "Succeeded").await;
    space.until_completed("reader").await;
    space.delete("reader").await;
    crate::support::until_gone(&space.identities(), "reader").await;
    assert_eq!(space.secret("reader-identity").await.unwrap(), before);
}

#[tokio::test]
async fn of_two_identities_for_one_secret_the_holder_keeps_it_and_the_other_moves_up() {
    let world = World::shared().await;
    let space = world.space("rivals").await;
    let shared = json!({"spec": {"credential": {"secret": {"name": "the-one"}}}});
    let holder = space.running("zoe", shared.clone()).await;
    space.create_job(&job("work")).await;
    space
        .create_identity(&with(&identity("adam", "jobs.batch/work"), &shared))
        .await;
    let message = space.until_refused("adam", "SecretNameTaken").await;
    assert!(message.contains("belongs to identity zoe"), "{message}");
    let secret = space.secret("the-one").await.unwrap();
    assert_eq!(
        secret.metadata.labels.unwrap()["countersign.dev/identity-uid"],
        uid(&holder)
    );
    assert_eq!(serial(&space.looked_at("zoe").await), serial(&holder));

    space.finish_job("zoe-job", "Succeeded").await;
    let adam = space.until_ready("adam").await;
    let secret = space.secret("the-one").await.unwrap();
    assert_eq!(
        secret.metadata.labels.unwrap()["countersign.dev/identity-uid"],
        uid(&adam)
    );
}

#[tokio::test]
async fn an_unknown_trust_domain_is_waited_for() {
    let world = World::shared().await;
    let name = unique("unknown");
    let space = world.space_in("domain", &name).await;
    space.create_job(&job("work")).await;
    let patch = json!({"spec": {"trustDomainRef": {"name": name}}});
    space
        .create_identity(&with(&identity("reader", "jobs.batch/work"), &patch))
        .await;
    let message = space.until_refused("reader", "UnknownTrustDomain").await;
    assert!(
        message.contains(&format!("no TrustDomain {name}: create it")),
        "{message}"
    );

    let domains = kube::Api::all(world.client().await);
    domains
        .create(
            &kube::api::PostParams::default(),
            &crate::harness::trust_domain(&name),
        )
        .await
        .unwrap();
    space.until_ready("reader").await;
}

#[tokio::test]
async fn a_namespace_that_is_not_admitted_gets_nothing() {
    let world = World::shared().await;
    let space = world.space_in("outside", "elsewhere").await;
    space.create_job(&job("work")).await;
    space
        .create_identity(&identity("reader", "jobs.batch/work"))
        .await;
    let message = space.until_refused("reader", "NamespaceNotAdmitted").await;
    assert!(
        message.contains(DOMAIN) && message.contains(&space.name),
        "{message}"
    );

    // A trust domain without a selector admits nobody.
    let closed = world
        .domain("closed", json!({"spec": {"namespaceSelector": null}}))
        .await;
    let space = world.space_in("outside", &closed).await;
    space.create_job(&job("work")).await;
    let patch = json!({"spec": {"trustDomainRef": {"name": closed}}});
    space
        .create_identity(&with(&identity("reader", "jobs.batch/work"), &patch))
        .await;
    space.until_refused("reader", "NamespaceNotAdmitted").await;
    assert!(space.secret("reader-identity").await.is_none());
}

#[tokio::test]
async fn an_unknown_owner_is_waited_for() {
    let world = World::shared().await;
    let space = world.space("owner").await;
    let name = unique("carol");
    space.create_job(&job("work")).await;
    let patch = json!({"spec": {"ownerRef": {"name": name}}});
    space
        .create_identity(&with(&identity("reader", "jobs.batch/work"), &patch))
        .await;
    let message = space.until_refused("reader", "UnknownOwner").await;
    assert!(
        message.contains(&format!("no AgentOwner {name}: create it")),
        "{message}"
    );
    let owners = kube::Api::all(world.client().await);
    owners
        .create(
            &kube::api::PostParams::default(),
            &crate::harness::owner(&name),
        )
        .await
        .unwrap();
    space.until_ready("reader").await;
}

#[tokio::test]
async fn who_is_no_subject_of_an_owner_needs_the_verb_bind() {
    let world = World::shared().await;
    let space = world.space("bind").await;
    space.create_job(&job("work")).await;
    let outsider = world.user("eve").await;
    let rules = json!([
        {"apiGroups": ["countersign.dev"], "resources": ["agentidentities"], "verbs": ["create"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["update"]},
    ]);
    world.allow(&outsider, Some(&space.name), rules).await;
    // An owner of the test's own: answers are remembered for 30 s.
    let owner = world.owner("bob", json!({})).await;
    let object = identity("reader", "jobs.batch/work");
    let object = with(&object, &json!({"spec": {"ownerRef": {"name": owner}}}));
    let params = kube::api::PostParams::default();
    let it = outsider
        .identities(&space)
        .create(&params, &object)
        .await
        .unwrap();
    assert_eq!(it.spec.requester.unwrap().username, outsider.name);
    let message = space.until_refused("reader", "OwnerNotAllowed").await;
    for words in [
        &outsider.name,
        "spec.subjects",
        &format!("verb bind on agentowners/{owner}"),
    ] {
        assert!(message.contains(words), "{message}");
    }
    assert!(space.secret("reader-identity").await.is_none());

    let binder = world.user("bea").await;
    let rules = json!([
        {"apiGroups": ["countersign.dev"], "resources": ["agentidentities"], "verbs": ["create"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["update"]},
    ]);
    world.allow(&binder, Some(&space.name), rules).await;
    let bind = json!([{
        "apiGroups": ["countersign.dev"], "resources": ["agentowners"],
        "resourceNames": [owner], "verbs": ["bind"],
    }]);
    world.allow(&binder, None, bind).await;
    let object = with(&object, &json!({"metadata": {"name": "bound"}}));
    binder
        .identities(&space)
        .create(&params, &object)
        .await
        .unwrap();
    space.until_ready("bound").await;

    // As a subject, without `bind`.
    let subjects = json!([{"kind": "User", "name": outsider.name}]);
    world
        .patch_owner(&owner, json!({"spec": {"subjects": subjects}}))
        .await;
    space.until_ready("reader").await;
}

#[tokio::test]
async fn a_lifetime_out_of_bounds_is_refused() {
    let world = World::shared().await;
    let domain = world
        .domain("bounds", json!({"spec": {"maxCertificateTTLSeconds": 600}}))
        .await;
    let space = world.space_in("bounds", &domain).await;
    space.create_job(&job("work")).await;
    let of = |name: &str, seconds: i64| {
        let patch = json!({"spec": {
            "trustDomainRef": {"name": domain},
            "credential": {"certificateTTLSeconds": seconds},
        }});
        with(&identity(name, "jobs.batch/work"), &patch)
    };
    space.create_identity(&of("long", 601)).await;
    let message = space.until_refused("long", "TTLOutOfBounds").await;
    assert!(
        message.contains("601") && message.contains("from 300 to 600"),
        "{message}"
    );
    let shorter = json!({"spec": {"credential": {"certificateTTLSeconds": 600}}});
    space.patch("long", shorter).await;
    space.until_ready("long").await;
    let params = kube::api::PostParams::default();
    let short = space.identities().create(&params, &of("short", 299)).await;
    assert!(
        refusal(short).contains("300 or more"),
        "the schema says so at once"
    );

    // Nobody asks for a day in a trust domain that gives an hour.
    let patch = json!({"spec": {"maxIdentityLifetimeSeconds": 3600}});
    world.patch_domain(&domain, patch).await;
    let day = with(
        &of("day", 300),
        &json!({"spec": {"activeDeadlineSeconds": 86400}}),
    );
    space.create_identity(&day).await;
    let message = space.until_refused("day", "DeadlineOutOfBounds").await;
    assert!(message.contains("at most 3600"), "{message}");
}

#[tokio::test]
async fn a_refusal_is_lifted_by_what_its_message_asks_for_and_leaves_no_trace() {
    let world = World::shared().await;
    let space = world.space_in("lifted", "elsewhere").await;
    space.create_job(&job("work")).await;
    space
        .create_identity(&identity("reader", "jobs.batch/work"))
        .await;
    space.until_refused("reader", "NamespaceNotAdmitted").await;
    crate::support::label_namespace(&space, json!({"trust-domain": DOMAIN})).await;
    let it = space.until_ready("reader").await;
    assert!(find(&it, "Stalled").is_none());
    assert!(is(&it, "Ready"));
}

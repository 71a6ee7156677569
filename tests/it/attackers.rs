//! A tenant who may create identities and edit Secrets in one namespace, and wants more.

use countersign_api::AgentIdentity;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::harness::{DOMAIN, Space, World, identity, job};
use crate::support::{
    OPERATOR_NAMESPACE, User, create, find, is, put_status, refusal, resource, serial, uid, unique,
    version, with,
};

/// A tenant with a namespace, an owner that names the tenant, and a Job.
struct Tenant {
    user: User,
    space: Space,
    owner: String,
}

impl Tenant {
    async fn new(world: &World) -> Self {
        let space = world.space("tenant").await;
        let user = world.user("mallory").await;
        let rules = json!([
            {"apiGroups": ["countersign.dev"], "resources": ["agentidentities"], "verbs": ["create", "get", "list", "update", "patch", "delete"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "get", "update", "patch", "delete"]},
            {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["update", "create", "get"]},
        ]);
        world.allow(&user, Some(&space.name), rules).await;
        let subjects = json!([{"kind": "User", "name": user.name}]);
        let owner = world
            .owner("mallory", json!({"spec": {"subjects": subjects}}))
            .await;
        space.create_job(&job("work")).await;
        Self { user, space, owner }
    }

    fn identity(&self, name: &str, patch: &Value) -> AgentIdentity {
        let own = json!({"spec": {"ownerRef": {"name": self.owner}}});
        with(&with(&identity(name, "jobs.batch/work"), &own), patch)
    }

    async fn create(&self, name: &str, patch: Value) -> kube::Result<AgentIdentity> {
        let identities = self.user.identities(&self.space);
        identities
            .create(&PostParams::default(), &self.identity(name, &patch))
            .await
    }

    fn untyped(&self) -> Api<kube::api::DynamicObject> {
        let resource = resource(
            "countersign.dev",
            "v1alpha1",
            "AgentIdentity",
            "agentidentities",
        );
        Api::namespaced_with(self.user.client.clone(), &self.space.name, &resource)
    }
}

#[tokio::test]
async fn a_tenant_gets_what_is_its_own() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    tenant.create("mine", json!({})).await.unwrap();
    tenant.space.until_ready("mine").await;
}

#[tokio::test]
async fn a_secret_of_somebody_elses_cannot_be_taken_over() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    let theirs = json!({"metadata": {"name": "database"}, "stringData": {"password": "p"}});
    let before = create(&tenant.space.secrets(), theirs).await.unwrap();
    let patch = json!({"spec": {"credential": {"secret": {"name": "database"}}}});
    tenant.create("thief", patch).await.unwrap();
    tenant.space.until_refused("thief", "SecretConflict").await;
    tenant.space.delete("thief").await;
    crate::support::until_gone(&tenant.space.identities(), "thief").await;
    world.still_serves().await;
    assert_eq!(tenant.space.secret("database").await.unwrap(), before);
}

#[tokio::test]
async fn a_secret_in_anothers_namespace_cannot_be_named() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    for name in [
        format!("../{OPERATOR_NAMESPACE}/{DOMAIN}-authority"),
        format!("{OPERATOR_NAMESPACE}/{DOMAIN}-authority"),
        "..".to_owned(),
        "%2e%2e%2fsecrets".to_owned(),
        "a\r\nHost: evil".to_owned(),
    ] {
        let patch = json!({"spec": {"credential": {"secret": {"name": name}}}});
        refusal(tenant.create("escape", patch).await);
    }
    let patch = json!({"spec": {"taskRef": {"name": "../../kube-system/pods/x"}}});
    refusal(tenant.create("escape", patch).await);
}

#[tokio::test]
async fn the_name_of_a_trust_domains_authority_gives_nothing_in_ones_own_namespace() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    let authority = format!("{DOMAIN}-authority");
    let secrets = world.operator_secrets().await;
    let before = version(&secrets.get(&authority).await.unwrap());
    let patch = json!({"spec": {"credential": {"secret": {"name": authority}}}});
    tenant.create("sly", patch).await.unwrap();
    tenant.space.until_ready("sly").await;
    // A Secret that claims to be the authority is nothing outside the operator's namespace.
    let forged = json!({
        "metadata": {"name": "forged", "labels": {"countersign.dev/authority": DOMAIN}},
        "stringData": {"state": "evil"},
    });
    create(&tenant.user.secrets(&tenant.space), forged)
        .await
        .unwrap();
    world.still_serves().await;
    assert_eq!(version(&secrets.get(&authority).await.unwrap()), before);
    assert!(is(&world.until_domain_ready(DOMAIN).await, "Ready"));
}

#[tokio::test]
async fn a_task_that_one_may_not_update_cannot_be_named() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    let patch = json!({"spec": {"taskRef": {"group": "", "resource": "pods", "name": "theirs"}}});
    let message = refusal(tenant.create("parasite", patch).await);
    assert!(message.contains("may not update pods/theirs"), "{message}");
    // In another namespace it may not even create identities.
    let other = world.space("victim").await;
    other.create_job(&job("work")).await;
    let object = tenant.identity("parasite", &json!({}));
    let created = tenant
        .user
        .identities(&other)
        .create(&PostParams::default(), &object)
        .await;
    refusal(created);
}

#[tokio::test]
async fn an_owner_who_does_not_name_the_tenant_gives_it_nothing() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    let boss = world.owner("boss", json!({})).await;
    let patch = json!({"spec": {"ownerRef": {"name": boss}}});
    tenant.create("pretender", patch).await.unwrap();
    tenant
        .space
        .until_refused("pretender", "OwnerNotAllowed")
        .await;
    assert_eq!(serial(&tenant.space.get("pretender").await), "");
    // Nor by a patch of what is its own.
    tenant.create("mine", json!({})).await.unwrap();
    let patch = Patch::Merge(json!({"spec": {"ownerRef": {"name": boss}}}));
    let identities = tenant.user.identities(&tenant.space);
    let patched = identities
        .patch("mine", &PatchParams::default(), &patch)
        .await;
    assert!(refusal(patched).contains("ownerRef"));
}

#[tokio::test]
async fn a_requester_cannot_be_forged() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    let boss = world.owner("boss", json!({})).await;
    let forged = json!({"spec": {
        "ownerRef": {"name": boss},
        "requester": {"username": "admin", "groups": ["system:masters"]},
    }});
    let it = tenant.create("forger", forged).await.unwrap();
    assert_eq!(it.spec.requester.unwrap().username, tenant.user.name);
    tenant
        .space
        .until_refused("forger", "OwnerNotAllowed")
        .await;
    let patch = Patch::Merge(json!({"spec": {"requester": {"username": "admin"}}}));
    let identities = tenant.user.identities(&tenant.space);
    let patched = identities
        .patch("forger", &PatchParams::default(), &patch)
        .await;
    if let Ok(it) = patched {
        assert_eq!(
            it.spec.requester.unwrap().username,
            tenant.user.name,
            "kept as it was"
        );
    }
    let replaced = identities
        .patch(
            "forger",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"requester": null}})),
        )
        .await;
    if let Ok(it) = replaced {
        assert_eq!(
            it.spec.requester.unwrap().username,
            tenant.user.name,
            "kept as it was"
        );
    }
}

#[tokio::test]
async fn an_identity_of_somebody_elses_cannot_be_bent_by_a_patch() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    // The admin's, in the namespace where the tenant may patch identities.
    let admins = tenant.space.running("admins", json!({})).await;
    let identities = tenant.user.identities(&tenant.space);
    for patch in [
        json!({"taskRef": {"name": "work"}}),
        json!({"ownerRef": {"name": tenant.owner}}),
        json!({"trustDomainRef": {"name": "other.example"}}),
        json!({"grants": [{"actions": ["*"], "resources": ["*"]}]}),
        json!({"credential": {"delivery": "Request"}}),
        json!({"credential": {"secret": {"name": "elsewhere"}}}),
        json!({"activeDeadlineSeconds": 86400}),
    ] {
        let patch = Patch::Merge(json!({"spec": patch}));
        refusal(
            identities
                .patch("admins", &PatchParams::default(), &patch)
                .await,
        );
    }
    // Whoever may patch may stop it, and not start it again.
    let stop = Patch::Merge(json!({"spec": {"desiredState": "Suspended"}}));
    identities
        .patch("admins", &PatchParams::default(), &stop)
        .await
        .unwrap();
    tenant
        .space
        .until("admins", "suspended", |it| is(it, "Suspended"))
        .await;
    let go = Patch::Merge(json!({"spec": {"desiredState": "Active"}}));
    let message = refusal(
        identities
            .patch("admins", &PatchParams::default(), &go)
            .await,
    );
    assert!(
        message.contains("'admin', who created the identity"),
        "{message}"
    );
    let other = world.space("victim").await;
    other.running("theirs", json!({})).await;
    refusal(
        tenant
            .user
            .identities(&other)
            .patch("theirs", &PatchParams::default(), &stop)
            .await,
    );
    assert_eq!(uid(&tenant.space.get("admins").await), uid(&admins));
}

#[tokio::test]
async fn a_status_cannot_be_written_nor_smuggled_in_at_the_creation() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    let lie = json!({"conditions": [{
        "type": "Ready", "status": "True", "reason": "Lie", "message": "a lie",
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    }]});
    let object = tenant.identity("liar", &json!({"spec": {"taskRef": {"name": "none"}}}));
    let mut object = serde_json::to_value(object).unwrap();
    object["status"] = lie.clone();
    let made = create(&tenant.untyped(), object).await.unwrap();
    assert!(!is(&made, "Ready"));
    let patch = Patch::Merge(json!({"status": lie}));
    let params = PatchParams::default();
    let written = tenant.untyped().patch_status("liar", &params, &patch).await;
    refusal(written);
    tenant
        .untyped()
        .patch("liar", &params, &patch)
        .await
        .unwrap();
    assert!(!is(&tenant.space.looked_at("liar").await, "Ready"));
}

#[tokio::test]
async fn what_a_forged_status_claims_takes_no_secret_of_somebody_elses() {
    let world = World::shared().await;
    let space = world.space("forged").await;
    let victim = json!({"metadata": {"name": "victim"}, "stringData": {"it": "is mine"}});
    let victim = create(&space.secrets(), victim).await.unwrap();
    space.running("liar", json!({})).await;
    // Somebody with a right that no shipped role gives.
    let resource = resource(
        "countersign.dev",
        "v1alpha1",
        "AgentIdentity",
        "agentidentities",
    );
    let untyped = Api::namespaced_with(space.client.clone(), &space.name, &resource);
    let mut status = serde_json::to_value(space.get("liar").await.status).unwrap();
    status["secret"] = json!({
        "name": "victim",
        "uid": uid(&victim),
        "resourceVersion": version(&victim),
    });
    put_status(&untyped, "liar", status).await;
    space.finish_job("liar-job", "Succeeded").await;
    space.until_completed("liar").await;
    world.still_serves().await;
    assert_eq!(space.secret("victim").await.unwrap(), victim);
}

#[tokio::test]
async fn a_bogus_owner_reference_ends_nothing_but_what_carries_it() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    let other = tenant.space.running("other", json!({})).await;
    tenant.create("mine", json!({})).await.unwrap();
    let before = tenant.space.until_ready("mine").await;
    let owner = json!([{
        "apiVersion": "batch/v1", "kind": "Job", "name": "bogus", "uid": "bogus",
        "blockOwnerDeletion": true, "controller": true,
    }]);
    let patch = json!({"metadata": {"ownerReferences": owner}});
    let secrets = tenant.user.secrets(&tenant.space);
    secrets
        .patch(
            "mine-identity",
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .unwrap();
    let after = tenant
        .space
        .until("mine", "mended", |it| {
            serial(it) != serial(&before) && is(it, "Ready")
        })
        .await;
    let secret = tenant.space.until_secret("mine-identity", "mended", |it| {
        it.metadata
            .owner_references
            .as_ref()
            .is_some_and(|it| it.len() == 1 && it[0].name == "work")
    });
    assert_eq!(
        secret.await.metadata.labels.unwrap()["countersign.dev/identity-uid"],
        uid(&after)
    );
    assert_eq!(serial(&tenant.space.get("other").await), serial(&other));
}

#[tokio::test]
async fn a_forged_label_makes_no_secret_an_identitys() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    let victim = tenant.space.running("victim", json!({})).await;
    let forged = |name: &str, uid: &str| {
        json!({
            "metadata": {"name": name, "labels": {"countersign.dev/identity-uid": uid}},
            "stringData": {"tls.crt": "evil", "tls.key": "evil"},
        })
    };
    let secrets = tenant.user.secrets(&tenant.space);
    // Somebody's live identity, nobody's, and what is no UID at all.
    create(&secrets, forged("claims", &uid(&victim)))
        .await
        .unwrap();
    create(
        &secrets,
        forged("orphan", "00000000-0000-0000-0000-000000000000"),
    )
    .await
    .unwrap();
    create(&secrets, forged("odd", "x")).await.unwrap();
    let after = tenant.space.looked_at("victim").await;
    assert_eq!(serial(&after), serial(&victim));
    assert!(is(&after, "Ready"));
    world.still_serves().await;
    // What says of itself that it is a credential of nobody's is taken away.
    tenant.space.until_no_secret("orphan").await;
    tenant.space.until_no_secret("odd").await;
}

#[tokio::test]
async fn a_label_taken_away_saves_no_credential_from_the_end() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    tenant.create("mine", json!({})).await.unwrap();
    tenant.space.until_ready("mine").await;
    let strip = json!([{"op": "remove", "path": "/metadata/labels"}]);
    let strip: Patch<()> = Patch::Json(serde_json::from_value(strip).unwrap());
    let secrets = tenant.user.secrets(&tenant.space);
    let params = PatchParams::default();
    // At the same time as its task ends: whatever is seen first, the Secret goes.
    let (stripped, ()) = tokio::join!(
        secrets.patch("mine-identity", &params, &strip),
        tenant.space.finish_job("work", "Succeeded"),
    );
    stripped.unwrap();
    assert_eq!(tenant.space.until_completed("mine").await, "TaskSucceeded");
    tenant.space.until_no_secret("mine-identity").await;
}

#[tokio::test]
async fn a_secret_planted_ahead_under_the_name_is_not_trusted() {
    let world = World::shared().await;
    let tenant = Tenant::new(world).await;
    let object = tenant.identity("mine", &json!({"spec": {"taskRef": {"name": "later"}}}));
    let it = tenant
        .user
        .identities(&tenant.space)
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    // With a key that the attacker knows, and the right label.
    let planted = json!({
        "metadata": {"name": "mine-identity", "labels": {"countersign.dev/identity-uid": uid(&it)}},
        "stringData": {"tls.crt": "evil", "tls.key": "evil"},
    });
    create(&tenant.user.secrets(&tenant.space), planted)
        .await
        .unwrap();
    tenant.space.create_job(&job("later")).await;
    let it = tenant.space.until_ready("mine").await;
    let secret = tenant.space.secret("mine-identity").await.unwrap();
    let credential = crate::pki::Credential::of(&secret);
    let facts = countersign_authority::inspect_leaf(
        credential.chain.as_bytes(),
        Some(credential.key.as_bytes()),
    );
    assert_eq!(facts.unwrap().serial_number, serial(&it));
}

#[tokio::test]
async fn what_is_no_task_is_refused() {
    let world = World::shared().await;
    let space = world.space("notask").await;
    for (name, task) in [
        ("itself", "agentidentities.countersign.dev/itself"),
        ("own-secret", "secrets/own-secret-identity"),
        ("namespace", "namespaces/default"),
        ("nothing", "unicorns.example.com/x"),
        ("subresource", "pods.metrics.k8s.io/x"),
    ] {
        space.create_identity(&identity(name, task)).await;
        let message = space.until_refused(name, "UnknownTaskKind").await;
        assert!(message.contains("is not a kind of task"), "{message}");
        assert!(space.secret(&format!("{name}-identity")).await.is_none());
    }
    world.still_serves().await;
}

#[tokio::test]
async fn junk_in_every_string_is_refused_by_the_schema() {
    let world = World::shared().await;
    let space = world.space("junk").await;
    let good = serde_json::to_value(identity("junk", "jobs.batch/work")).unwrap();
    let resource = resource(
        "countersign.dev",
        "v1alpha1",
        "AgentIdentity",
        "agentidentities",
    );
    let untyped: Api<kube::api::DynamicObject> =
        Api::namespaced_with(space.client.clone(), &space.name, &resource);
    let long = "x".repeat(200 * 1024);
    for junk in [
        long.as_str(),
        "\u{202e}gnp.exe",
        "a\r\nb",
        "\u{0}",
        "ÄÖÜ",
        "${jndi:ldap://x}",
    ] {
        for path in [
            "/metadata/name",
            "/spec/trustDomainRef/name",
            "/spec/ownerRef/name",
            "/spec/taskRef/group",
            "/spec/taskRef/resource",
            "/spec/taskRef/name",
            "/spec/grants/0/actions/0",
            "/spec/credential/delivery",
            "/spec/credential/keyAlgorithm",
            "/spec/desiredState",
        ] {
            let mut object = good.clone();
            let (parent, key) = path.rsplit_once('/').unwrap();
            let parent = object.pointer_mut(parent).unwrap();
            match parent {
                Value::Array(items) => items[0] = json!(junk),
                parent => parent[key] = json!(junk),
            }
            refusal(create(&untyped, object).await);
        }
    }
    for (path, size) in [
        ("/spec/taskRef/uid", 257),
        ("/spec/attributes/purpose", 200 * 1024),
    ] {
        let mut object = good.clone();
        object["spec"]["attributes"] = json!({});
        let (parent, key) = path.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = json!("x".repeat(size));
        refusal(create(&untyped, object).await);
    }
    let grant = json!({"actions": ["read"], "resources": ["a/b"]});
    let grants: Vec<Value> = vec![grant; 10_000];
    let mut object = good.clone();
    object["spec"]["grants"] = json!(grants);
    refusal(create(&untyped, object).await);
    world.still_serves().await;
}

#[tokio::test]
async fn the_most_that_the_schema_allows_harms_nobody() {
    let world = World::shared().await;
    let space = world.space("most").await;
    let owner = unique("rich");
    let wide: Vec<Value> = (0..64)
        .map(|it| json!({"actions": ["*"], "resources": [format!("r{it}/*")]}))
        .collect();
    let owners = Api::<countersign_api::AgentOwner>::all(world.client().await);
    let object = with(
        &crate::harness::owner(&owner),
        &json!({"spec": {"grants": wide}}),
    );
    owners
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    let actions: Vec<String> = (0..32)
        .map(|it| format!("a{it}{}", "x".repeat(60)))
        .collect();
    let resources: Vec<String> = (0..64)
        .map(|it| format!("r{it}/{}", "y".repeat(200)))
        .collect();
    let grants: Vec<Value> = vec![json!({"actions": actions, "resources": resources}); 32];
    let patch = json!({"spec": {"ownerRef": {"name": owner}, "grants": grants}});
    let it = space.running("greedy", patch).await;
    assert!(find(&it, "Stalled").is_none());
    let long = "n".repeat(240);
    let object = identity(&long, "jobs.batch/greedy-job");
    space.create_identity(&object).await;
    space.until_ready(&long).await;
    world.still_serves().await;
}

#[tokio::test]
async fn a_flood_in_one_namespace_holds_nobody_else_up() {
    const MANY: usize = 200;
    let world = World::shared().await;
    let (flood, others) = (world.space("flood").await, world.space("others").await);
    let identities = flood.identities();
    let params = PostParams::default();
    let nobody = json!({"spec": {"ownerRef": {"name": "nobody"}}});
    let objects: Vec<_> = (0..MANY)
        .map(|it| {
            with(
                &identity(&format!("flood-{it}"), "jobs.batch/work"),
                &nobody,
            )
        })
        .collect();
    let all = futures::future::join_all(objects.iter().map(|it| identities.create(&params, it)));
    let (made, served) = tokio::join!(all, others.running("bystander", json!({})));
    assert!(made.iter().all(Result::is_ok));
    assert!(is(&served, "Ready"));
    let last = format!("flood-{}", MANY - 1);
    flood.until_refused(&last, "UnknownOwner").await;
}

//! Peers that must not get in, through a real Envoy with real mTLS, by their certificates. None gets to
//! the service, and each refusal is on record.

use serde_json::json;

use super::connection::Connection;
use super::decider::question;
use super::forger::{Forger, dns, uri};
use super::gate::{Gate, PATH, RESOURCE, try_get};
use super::plugin::countersign;
use super::revocation::patch_identity;
use super::through::credential;
use crate::harness::{DOMAIN, World, eventually};
use crate::pki::{Credential, anonymous_config, client_config};

/// Another trust domain of the same cluster, with an agent of its own.
async fn neighbour(world: &World) -> (String, Credential) {
    let domain = world.domain("neighbour", json!({})).await;
    world.until_domain_ready(&domain).await;
    let space = world.space_in("neighbour", &domain).await;
    let patch = json!({"spec": {"trustDomainRef": {"name": domain}}});
    space.running("reader", patch).await;
    let theirs = credential(&space.secrets(), "reader").await.unwrap();
    (domain, theirs)
}

#[tokio::test]
async fn a_certificate_that_is_expired_forged_or_of_another_trust_domain_opens_nothing() {
    let gate = Gate::new("forged", &["reader", "other"]).await;
    let [reader, other] = [0, 1].map(|it| gate.agents[it].as_str());
    let mine = gate.credential("reader").await;
    let roots = mine.roots.as_str();
    let ours = Forger::of(gate.world, DOMAIN, roots).await;
    let (domain, theirs) = neighbour(gate.world).await;
    let neighbours = Forger::of(gate.world, &domain, roots).await;
    let nobodys = Forger::pretending_to_be(&ours);
    let unknown = "spiffe://unknown.example/ns/forged/reader";
    let theirs = Credential {
        roots: roots.to_owned(),
        ..theirs
    };

    // What is refused below is refused for what is wrong with it: a good one, made in the same way, isn't.
    let good = ours.certificate(vec![uri(reader)]);
    gate.passed("good", &gate.get(client_config(&good), &[]).await);
    let through = gate.try_get(client_config(&good)).await.unwrap();
    gate.passed("good, verified", &through);

    let (bad, stranger) = ("BadCertificate", "UnknownAgent");
    for (what, shown, reason, verifies) in [
        ("expired", ours.expired(vec![uri(reader)]), bad, false),
        ("not yet good", ours.early(vec![uri(reader)]), bad, false),
        (
            "self-signed",
            ours.self_signed(vec![uri(reader)]),
            bad,
            false,
        ),
        (
            "of the right name by the wrong key",
            nobodys.certificate(vec![uri(reader)]),
            bad,
            false,
        ),
        (
            "ours by another trust domain's authority",
            neighbours.certificate(vec![uri(reader)]),
            bad,
            false,
        ),
        ("of another trust domain", theirs, "NoPolicyPermits", false),
        (
            "of one that nobody knows",
            nobodys.certificate(vec![uri(unknown)]),
            stranger,
            false,
        ),
        (
            "two agents",
            ours.certificate(vec![uri(reader), uri(other)]),
            bad,
            true,
        ),
        (
            "an agent and a page",
            ours.certificate(vec![uri(reader), uri("https://example.org/")]),
            bad,
            true,
        ),
        (
            "a page and an agent",
            ours.certificate(vec![uri("https://example.org/"), uri(reader)]),
            stranger,
            true,
        ),
        (
            "an agent as a host",
            ours.certificate(vec![dns(reader)]),
            bad,
            true,
        ),
        (
            "an agent and a host",
            ours.certificate(vec![uri(reader), dns("example.org")]),
            bad,
            true,
        ),
        (
            "no name at all",
            ours.certificate(Vec::new()),
            stranger,
            true,
        ),
    ] {
        let reply = gate.get(client_config(&shown), &[]).await;
        gate.refused(what, &reply, reason).await;
        match gate.try_get(client_config(&shown)).await {
            // Envoy asks for no more than a chain to a root that it trusts.
            Ok(reply) if verifies => gate.refused(what, &reply, reason).await,
            let_in => assert!(!verifies && let_in.is_err(), "{what}: {let_in:?}"),
        }
        assert_eq!(gate.backend.seen(), [""; 0], "{what}");
    }
    // Not even a handshake: the authority's own certificate, whose key signs nothing but certificates.
    for envoy in [&gate.open, &gate.strict] {
        let own = client_config(&ours.authority);
        try_get(envoy, own).await.unwrap_err();
    }
    let reply = gate.get(anonymous_config(&mine), &[]).await;
    gate.refused("none", &reply, "CallerNotAllowed").await;
    gate.try_get(anonymous_config(&mine)).await.unwrap_err();
    gate.passed("good", &gate.get(client_config(&mine), &[]).await);
}

#[tokio::test]
async fn a_certificate_that_was_revoked_opens_nothing_on_new_connections_and_open_ones() {
    let gate = Gate::new("taken", &["reader"]).await;
    let asked = question(&gate.agents[0], "read", RESOURCE);
    let before = gate.credential("reader").await;
    let connect = async |shown: &Credential| {
        let client = client_config(shown);
        let open = Connection::as_client(gate.strict.address(), client).await;
        open.unwrap()
    };
    let mut open = connect(&before).await;
    gate.passed("before", &open.get(PATH).await.unwrap());

    patch_identity(&gate.space, "reader", "Suspended").await;
    gate.decider.until(&asked, "AgentSuspended").await;
    let reply = open.get(PATH).await.unwrap();
    gate.refused("suspended", &reply, "AgentSuspended").await;
    patch_identity(&gate.space, "reader", "Active").await;
    gate.decider.until(&asked, "Permitted").await;
    for mut connection in [open, connect(&before).await] {
        let reply = connection.get(PATH).await.unwrap();
        let what = "of before the suspension";
        gate.refused(what, &reply, "CertificateRevoked").await;
    }

    let now = eventually("the new certificate", async || {
        let secret = gate
            .space
            .secrets()
            .get_opt("reader-identity")
            .await
            .ok()??;
        Some(Credential::of(&secret))
    })
    .await;
    let mut open = connect(&now).await;
    gate.passed("the new one", &open.get(PATH).await.unwrap());
    let revoke = [
        "revoke",
        "identity",
        "reader",
        "-n",
        &gate.space.name,
        "--yes",
    ];
    let output = countersign(gate.world, &revoke).await;
    assert!(output.status.success(), "{output:?}");
    gate.decider.until(&asked, "AgentEnded").await;
    for mut connection in [open, connect(&now).await, connect(&before).await] {
        let reply = connection.get(PATH).await.unwrap();
        gate.refused("revoked", &reply, "AgentEnded").await;
    }
}

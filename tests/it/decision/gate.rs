//! Envoys in front of a service, and what must not get through them.

use std::time::Duration;

use countersign_testbed::{Envoy, EnvoyConfig};
use rustls::ClientConfig;
use serde_json::json;

use super::backend::Backend;
use super::connection::{Connection, Reply};
use super::decider::{Decider, question};
use super::plugin::why;
use super::setting::{permit, shared, spiffe_id};
use super::through::credential;
use crate::harness::{Space, World};
use crate::pki::Credential;

pub(super) const PATH: &str = "/invoices/7";
pub(super) const RESOURCE: &str = "ledger/invoices/7";
/// What Envoy shows to the decision point: whoever has it may ask, and vouches for nobody.
const TOKEN: &str = "a-token-of-a-gateway-long-enough";
/// A busy machine is no reason for a refusal here.
const WAIT: Duration = Duration::from_secs(20);

/// A service, two Envoys in front of it, and a decision point behind them.
pub(super) struct Gate {
    pub(super) world: &'static World,
    pub(super) space: Space,
    pub(super) decider: Decider,
    pub(super) backend: Backend,
    /// Lets in whom it can verify.
    pub(super) strict: Envoy,
    /// Lets everybody in, so that the decision point alone is in the way.
    pub(super) open: Envoy,
    /// The SPIFFE IDs of the agents.
    pub(super) agents: Vec<String>,
}

impl Gate {
    /// With these agents, each of which may read invoices.
    pub(super) async fn new(name: &str, agents: &[&str]) -> Self {
        let (world, _) = shared().await;
        let space = world.space(name).await;
        space.set_policy("granted", &permit()).await;
        let all: Vec<&str> = agents.iter().copied().chain(["gateway"]).collect();
        let agents = space.agents(&all).await;
        let agents: Vec<String> = agents.iter().map(spiffe_id).collect();
        let token = world.plane().dir().join(format!("{name}.token"));
        std::fs::write(&token, TOKEN).unwrap();
        let token = format!("gateway={}", token.display());
        let decider = Decider::start(world, name, &["--token", &token]);
        decider.ready().await;
        let asked = question(&agents[0], "read", RESOURCE);
        decider.until(&asked, "Permitted").await;
        let backend = Backend::start().await;
        let gateway = credential(&space.secrets(), "gateway").await.unwrap();
        let mut config =
            EnvoyConfig::new(gateway.chain, gateway.key, gateway.roots, backend.address)
                .asking(decider.address.parse().unwrap())
                .with_token(TOKEN)
                .route("/", &[("resourcePrefix", "ledger")]);
        config.decisions.as_mut().unwrap().timeout = WAIT;
        let strict = Envoy::start(&config).await.unwrap();
        let open = Envoy::start(&config.open_to_anybody()).await.unwrap();
        Self {
            world,
            space,
            decider,
            backend,
            strict,
            open,
            agents,
        }
    }

    pub(super) async fn credential(&self, name: &str) -> Credential {
        credential(&self.space.secrets(), name).await.unwrap()
    }

    /// A request through the one that lets everybody in.
    pub(super) async fn get(&self, client: ClientConfig, headers: &[(&str, &[u8])]) -> Reply {
        let client = Connection::as_client(self.open.address(), client).await;
        let reply = client.unwrap().send("GET", PATH, headers, b"").await;
        reply.unwrap()
    }

    /// A request through the one that verifies: no answer for whom it doesn't let in.
    pub(super) async fn try_get(&self, client: ClientConfig) -> std::io::Result<Reply> {
        try_get(&self.strict, client).await
    }

    /// It got through to the service.
    pub(super) fn passed(&self, what: &str, reply: &Reply) {
        assert_eq!(reply.status, 200, "{what}: {reply:?}");
        let seen = self.backend.seen();
        assert_eq!(seen.len(), 1, "{what}: {seen:?}");
    }

    /// It was denied for this reason, the service saw nothing, and it is on record.
    pub(super) async fn refused(&self, what: &str, reply: &Reply, reason: &str) {
        assert_eq!(self.backend.seen(), [""; 0], "{what}");
        assert_eq!(reply.status, 403, "{what}: {reply:?}");
        let told = reply.header("x-countersign-reason");
        assert_eq!(told, Some(reason), "{what}: {}", reply.json());
        let id = reply.header("x-countersign-decision").unwrap();
        let said = why(self.world, &self.decider, id).await;
        assert_eq!(said["allowed"], json!(false), "{what}: {said}");
        assert_eq!(said["reason"], json!(reason), "{what}: {said}");
        assert_eq!(said["caller"], json!("gateway"), "{what}: {said}");
        eprintln!("{what}: {reason}: {}", said["explanation"]);
    }
}

pub(super) async fn try_get(envoy: &Envoy, client: ClientConfig) -> std::io::Result<Reply> {
    let client = Connection::as_client(envoy.address(), client).await;
    client?.get(PATH).await
}

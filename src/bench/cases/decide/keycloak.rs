//! Keycloak's AuthZEN endpoint, asked the least that it can be asked: may a user with this role read
//! this document? It knows no chains, no grants that narrow and no risk, so that our rules can't be put
//! to it, and what is compared is the wire and the work of each.

use anyhow::{Context, Result, ensure};
use countersign_testbed::Keycloak;
use http::Method;
use serde_json::{Value, json};

use super::measure::Side;
use super::wire::{Door, post};

const REALM: &str = "bench";
const ROLE: &str = "reader";
const USER: &str = "alice";
const CLIENT: &str = "enforcement-point";
const RESOURCE: &str = "ledger/invoices/7";

/// A Keycloak that knows one user, one role, one document and one permission.
pub(super) struct Peer {
    keycloak: Keycloak,
    bearer: String,
}

impl Peer {
    pub(super) async fn start() -> Result<Self> {
        let keycloak = Keycloak::start(&[]).await?;
        let secret = "of-a-benchmark";
        let realm = realm(secret);
        keycloak
            .admin(Method::POST, "/admin/realms", Some(&realm))
            .await?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT),
            ("client_secret", secret),
        ];
        let path = format!("/realms/{REALM}/protocol/openid-connect/token");
        let answer = keycloak.form(&path, &form).await?;
        let token = answer.body.get("access_token").and_then(Value::as_str);
        let bearer = token.context("Keycloak gives no token")?.to_owned();
        let peer = Self { keycloak, bearer };
        peer.check().await?;
        Ok(peer)
    }

    /// Does it tell one question from another?
    async fn check(&self) -> Result<()> {
        for (user, action, expected) in [
            (USER, "read", true),
            (USER, "write", false),
            ("bob", "read", false),
        ] {
            let mut open = self.door()?.open().await?;
            let reply = open.ask(&self.request(user, action)).await?;
            let decision: Value = serde_json::from_slice(reply.body).unwrap_or_default();
            let told = decision.get("decision").and_then(Value::as_bool);
            ensure!(
                told == Some(expected),
                "Keycloak about {user} and {action}: {} {}",
                reply.status,
                reply.text()
            );
        }
        Ok(())
    }

    fn door(&self) -> Result<Door> {
        let url = self.keycloak.url();
        let address = url.trim_start_matches("http://").parse();
        Ok(Door::plain(address.context("Keycloak's address")?))
    }

    fn request(&self, user: &str, action: &str) -> Vec<u8> {
        let body = json!({
            "subject": {"type": "user", "id": user},
            "action": {"name": action},
            "resource": {"type": "document", "id": RESOURCE},
        });
        let headers = format!("authorization: Bearer {}\r\n", self.bearer);
        let path = format!("/realms/{REALM}/authzen/access/v1/evaluation");
        let request = post(&path, &headers, &body.to_string());
        // Its tokens count where they were issued: host and port.
        let host = self.keycloak.url().replace("http://", "host: ");
        let request = String::from_utf8_lossy(&request).replacen("host: 127.0.0.1", &host, 1);
        request.into_bytes()
    }

    pub(super) fn side(&self) -> Result<Side> {
        Ok(Side {
            name: "Keycloak",
            door: self.door()?,
            requests: vec![self.request(USER, "read")],
            allow: "\"decision\":true",
        })
    }
}

/// The token outlives the benchmark.
fn realm(secret: &str) -> Value {
    let named = |name: &str| json!([name]).to_string();
    json!({
        "realm": REALM,
        "enabled": true,
        "sslRequired": "none",
        "accessTokenLifespan": 7200,
        "roles": {"realm": [{"name": ROLE}]},
        "users": [{
            "username": USER, "enabled": true, "email": "alice@example.org",
            "firstName": "Alice", "lastName": "Example", "realmRoles": [ROLE],
        }],
        "clients": [{
            "clientId": CLIENT,
            "enabled": true,
            "secret": secret,
            "serviceAccountsEnabled": true,
            "authorizationServicesEnabled": true,
            "publicClient": false,
            "standardFlowEnabled": false,
            "authorizationSettings": {
                "policyEnforcementMode": "ENFORCING",
                "decisionStrategy": "UNANIMOUS",
                "scopes": [{"name": "read"}],
                "resources": [{
                    "name": RESOURCE, "type": "document", "scopes": [{"name": "read"}],
                }],
                "policies": [
                    {
                        "name": "readers",
                        "type": "role",
                        "config": {"roles": json!([{"id": ROLE, "required": true}]).to_string()},
                    },
                    {
                        "name": "readers may read",
                        "type": "scope",
                        "config": {
                            "resources": named(RESOURCE),
                            "scopes": named("read"),
                            "applyPolicies": named("readers"),
                        },
                    },
                ],
            },
        }],
    })
}

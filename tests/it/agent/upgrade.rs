//! The issuing endpoints are restarted one after another, as a StatefulSet does it: each is stopped
//! before its successor starts. In front of them stands what a Service does.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::program::Agent;
use crate::harness::{DOMAIN, PATIENCE, World, within};
use crate::issuer::program::{Issuer, roots};
use crate::issuer::workload;
use crate::pki::handshake;

const HANDSHAKE_EVERY: Duration = Duration::from_millis(100);
/// How long a pod is gone: stopped, scheduled, its volume attached.
const GONE: Duration = Duration::from_secs(4);

/// A Service: each connection goes to one of the endpoints that are ready, by turns.
struct Service {
    address: String,
    ready: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Service {
    async fn of(endpoints: &[&Issuer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let ready = endpoints.iter().map(|it| it.address.clone()).collect();
        let ready = Arc::new(Mutex::new(ready));
        let mut serving = JoinSet::new();
        serving.spawn(forward(listener, Arc::clone(&ready)));
        Self {
            address,
            ready,
            _serving: serving,
        }
    }

    fn without(&self, address: &str) {
        self.ready.lock().unwrap().retain(|it| it != address);
    }

    fn with(&self, address: &str) {
        self.ready.lock().unwrap().push(address.to_owned());
    }
}

async fn forward(listener: TcpListener, ready: Arc<Mutex<Vec<String>>>) {
    let mut connections: JoinSet<io::Result<()>> = JoinSet::new();
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let next = {
            let mut ready = ready.lock().unwrap();
            if !ready.is_empty() {
                ready.rotate_left(1);
            }
            ready.first().cloned()
        };
        let Some(next) = next else { continue };
        connections.spawn(async move {
            let mut far = TcpStream::connect(next).await?;
            copy_bidirectional(&mut near, &mut far).await.map(drop)
        });
    }
}

#[tokio::test]
async fn a_rolling_restart_of_the_issuing_endpoints_fails_no_handshake() {
    let world = World::own().await;
    let operator = world.operator("only", &["--issuing"]);
    operator.until_leading().await;
    let mut endpoints = Vec::new();
    for name in ["issue-0", "issue-1"] {
        let endpoint = Issuer::start(&world, name, &[]);
        endpoint.ready().await;
        endpoints.push(endpoint);
    }
    let service = Service::of(&endpoints.iter().collect::<Vec<_>>()).await;
    let space = world.space("upgrade").await;
    let pod = space.working("work").await;
    let identity = workload("reader", "jobs.batch/work", &json!({}));
    space.create_identity(&identity).await;
    space.until_ready("reader").await;
    let token = space.token(&pod).await;
    let at = &service.address;
    let client = Agent::start_at(&roots(&world, DOMAIN).await, at, &token).await;
    let server = Agent::start_at(&roots(&world, DOMAIN).await, at, &token).await;
    let both = [&client, &server];
    for agent in both {
        within(PATIENCE, "a certificate", async || agent.held().await).await;
    }

    let restart = async {
        // The last one first, and each before the next.
        for name in ["issue-1", "issue-0"] {
            let place = endpoints.iter().position(|it| it.audit.contains(name));
            let old = endpoints.remove(place.unwrap());
            let address = old.address.clone();
            service.without(&address);
            assert!(old.stop().success());
            sleep(GONE).await;
            let new = Issuer::start(&world, name, &["--listen", &address]);
            new.ready().await;
            service.with(&address);
            endpoints.push(new);
        }
        // A certificate of a minute is renewed within 32 seconds: both have one of the new endpoints.
        let restarted = [client.held().await.unwrap(), server.held().await.unwrap()];
        within(Duration::from_secs(60), "renewals", async || {
            let now = [client.held().await?, server.held().await?];
            let other = |n: usize| now[n].chain != restarted[n].chain;
            (other(0) && other(1)).then_some(())
        })
        .await;
    };
    let (mut count, mut failed) = (0_usize, Vec::new());
    let begun = Instant::now();
    let calling = async {
        loop {
            match (client.held().await, server.held().await) {
                (Some(client), Some(server)) => {
                    for (client, server) in [(&client, &server), (&server, &client)] {
                        count += 1;
                        if let Err(why) = handshake(client, server).await {
                            failed.push(format!("after {:?}: {why}", begun.elapsed()));
                        }
                    }
                }
                _ => failed.push(format!("after {:?}: no certificate", begun.elapsed())),
            }
            sleep(HANDSHAKE_EVERY).await;
        }
    };
    tokio::select! {
        () = restart => {}
        () = calling => {}
    }
    assert!(failed.is_empty(), "of {count}: {failed:#?}");
    assert!(count > 100, "only {count} handshakes");
    eprintln!("{count} handshakes while both endpoints were restarted");
}

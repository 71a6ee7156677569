//! Replicas that tell each other, one of them down for a while.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::middleware::from_fn;
use axum::response::Response;
use countersign_decision::{Caller, Signal, SignalSink};
use countersign_signals::{
    Metrics, PeerSettings, Pulled, Replicas, SHARE_PATH, Settings, Shared, TABLE_PATH, router,
};
use jiff::SignedDuration;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::poll::http;
use crate::push::settings;
use crate::reports::signal;
use crate::table::{Table, standing, start};
use crate::wire::{Server, request};

const REPLICA: &str = "spiffe://example.org/ns/countersign/replica";

/// Stands for the server that terminates mTLS: every caller is a replica.
async fn of_replicas(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Caller {
        name: REPLICA.to_owned(),
        vouches: false,
        authoritative: false,
    });
    next.run(request).await
}

struct Replica {
    table: Arc<Table>,
    shared: Arc<Shared>,
    metrics: Metrics,
    server: Option<Server>,
    address: SocketAddr,
    _telling: JoinSet<()>,
}

impl Replica {
    async fn start() -> Self {
        let table = Table::new();
        let metrics = Metrics::default();
        let shared = Arc::new(Shared::new(
            table.clone(),
            http(),
            standing(),
            metrics.clone(),
        ));
        let server = Server::start(routes(&table, &shared)).await;
        let mut telling = JoinSet::new();
        let told = shared.clone();
        telling.spawn(async move { match told.run().await {} });
        Self {
            table,
            shared,
            metrics,
            address: server.address,
            server: Some(server),
            _telling: telling,
        }
    }

    fn as_peer(&self, name: &str) -> PeerSettings {
        PeerSettings {
            name: name.to_owned(),
            address: format!("http://{}", self.address),
            token: None,
        }
    }

    fn stop(&mut self) {
        self.server = None;
    }

    async fn resume(&mut self) {
        self.server = Some(Server::at(self.address, routes(&self.table, &self.shared)).await);
    }
}

fn routes(table: &Arc<Table>, shared: &Arc<Shared>) -> axum::Router {
    let settings = Settings {
        replicas: Some(Replicas {
            table: table.clone(),
            callers: vec![REPLICA.to_owned()],
        }),
        ..settings(Vec::new())
    };
    router(shared.clone(), settings).layer(from_fn(of_replicas))
}

#[tokio::test]
async fn each_replica_hears_of_a_signal_once_and_with_its_times() {
    let (a, b, c) = (
        Replica::start().await,
        Replica::start().await,
        Replica::start().await,
    );
    a.shared.set_peers(vec![b.as_peer("b"), c.as_peer("c")]);
    b.shared.set_peers(vec![a.as_peer("a"), c.as_peer("c")]);
    c.shared.set_peers(vec![a.as_peer("a"), b.as_peer("b")]);
    a.shared.accept(signal("1")).unwrap();
    b.table.has(1).await;
    c.table.has(1).await;
    assert_eq!(b.table.all(), [signal("1")]);
    // Were it shared on, it would be back by now.
    sleep(Duration::from_millis(300)).await;
    assert_eq!(b.metrics.shared("c", "sent"), 0);
    assert_eq!(c.metrics.shared("a", "sent"), 0);
    assert_eq!(a.metrics.shared("b", "sent"), 1);
}

#[tokio::test]
async fn a_signal_is_everywhere_well_within_a_tenth_of_a_second() {
    let (a, b) = (Replica::start().await, Replica::start().await);
    a.shared.set_peers(vec![b.as_peer("b")]);
    a.shared.accept(signal("first")).unwrap();
    b.table.has(1).await;
    let mut times = Vec::new();
    for id in 0..100 {
        let said = Instant::now();
        a.shared.accept(signal(&id.to_string())).unwrap();
        b.table.has(id + 2).await;
        times.push(said.elapsed());
    }
    times.sort();
    eprintln!(
        "p50 {:?}, p99 {:?}, worst {:?}",
        times[50], times[98], times[99]
    );
    assert!(times[50] < Duration::from_millis(100), "{:?}", times[50]);
}

#[tokio::test]
async fn a_peer_that_is_down_gets_all_when_it_is_back_and_holds_up_no_other() {
    let (a, mut b, c) = (
        Replica::start().await,
        Replica::start().await,
        Replica::start().await,
    );
    a.shared.set_peers(vec![b.as_peer("b"), c.as_peer("c")]);
    a.shared.accept(signal("before")).unwrap();
    b.table.has(1).await;
    b.stop();
    for id in 0..500 {
        a.shared.accept(signal(&id.to_string())).unwrap();
    }
    c.table.has(501).await;
    assert!(b.table.all().len() < 501);
    b.resume().await;
    b.table.has(501).await;
    assert_eq!(a.metrics.shared("b", "dropped"), 0);
}

#[tokio::test]
async fn a_peer_that_was_down_for_too_long_gets_the_whole_table() {
    let (a, mut b) = (Replica::start().await, Replica::start().await);
    b.stop();
    a.shared.set_peers(vec![b.as_peer("b")]);
    for id in 0..25_000 {
        a.shared.accept(signal(&id.to_string())).unwrap();
    }
    assert!(a.metrics.shared("b", "dropped") > 10_000);
    b.resume().await;
    b.table.has(25_000).await;
}

#[tokio::test]
async fn a_replica_that_starts_learns_from_those_that_it_reaches() {
    let (a, b, mut gone) = (
        Replica::start().await,
        Replica::start().await,
        Replica::start().await,
    );
    for id in 0..2000 {
        a.shared.accept(signal(&id.to_string())).unwrap();
    }
    b.shared.accept(signal("of b")).unwrap();
    gone.stop();
    let new = Replica::start().await;
    new.shared
        .set_peers(vec![a.as_peer("a"), b.as_peer("b"), gone.as_peer("gone")]);
    let pulled = new.shared.pull(Duration::from_secs(10)).await;
    assert_eq!(
        pulled,
        Pulled {
            reached: 2,
            peers: 3,
            signals: 2001
        }
    );
    assert_eq!(new.table.all().len(), 2001);
}

#[tokio::test]
async fn a_peer_that_joins_gets_what_was_before_and_one_that_leaves_nothing_more() {
    let (a, b) = (Replica::start().await, Replica::start().await);
    for id in 0..300 {
        a.shared.accept(signal(&id.to_string())).unwrap();
    }
    a.shared.set_peers(vec![b.as_peer("b")]);
    b.table.has(300).await;
    a.shared.set_peers(Vec::new());
    a.shared.accept(signal("later")).unwrap();
    sleep(Duration::from_millis(200)).await;
    assert_eq!(b.table.all().len(), 300);
}

#[tokio::test]
async fn what_a_replica_says_is_checked_one_by_one() {
    let replica = Replica::start().await;
    let ahead = |by| Signal {
        observed: start() + SignedDuration::from_secs(by),
        ..signal(&by.to_string())
    };
    let mut newer = json!(signal("newer"));
    newer["of a later version"] = json!(1);
    let body = json!([ahead(60), ahead(61), newer, signal("good"), 7]).to_string();
    let headers = [("Content-Type", "application/json")];
    let line = format!("POST {SHARE_PATH}");
    let answer = request(replica.address, &line, &headers, body.as_bytes()).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"{"accepted":2,"refused":3}"#)
    );
    assert_eq!(replica.table.all(), [ahead(60), signal("good")]);
    for body in ["", "{}", "[", "null"] {
        let answer = request(replica.address, &line, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 400, "{body}");
    }
}

#[tokio::test]
async fn who_is_no_replica_hears_nothing_and_is_not_heard() {
    let table = Table::new();
    table.accept(signal("1")).unwrap();
    let settings = Settings {
        replicas: Some(Replicas {
            table: table.clone(),
            callers: vec!["spiffe://example.org/ns/countersign/another".to_owned()],
        }),
        ..settings(Vec::new())
    };
    let routes = router(table.clone(), settings);
    let nobody = Server::start(routes.clone()).await;
    let other = Server::start(routes.layer(from_fn(of_replicas))).await;
    let headers = [("Content-Type", "application/json")];
    for address in [nobody.address, other.address] {
        let body = json!([signal("2")]).to_string();
        let line = format!("POST {SHARE_PATH}");
        let answer = request(address, &line, &headers, body.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.err().as_str()),
            (403, "access_denied")
        );
        let answer = request(address, &format!("GET {TABLE_PATH}"), &[], b"").await;
        assert_eq!(
            (answer.status, answer.err().as_str()),
            (403, "access_denied")
        );
    }
    assert_eq!(table.all().len(), 1);
}

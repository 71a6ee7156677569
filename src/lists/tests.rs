#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test should panic"
)]

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use countersign_authority::{AuthoritySet, Bundle, KeyAlgorithm, RevocationReason, Revoked};
use countersign_http::Http;
use countersign_runtime::Clock;
use countersign_statement::{Digest, KeyRing, Purpose, WantedKeys, revocation};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{Ages, Lists, Revoke, Wanted, is_server};

const DOMAIN: &str = "example.org";
const PARTITIONS: u32 = 2;

type Pages = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// What was revoked.
#[derive(Debug, Default)]
struct Told {
    certificates: Mutex<BTreeSet<String>>,
    statements: Mutex<BTreeSet<Digest>>,
}

impl Revoke for Told {
    fn certificate(&self, serial_number: &str, until: Timestamp) {
        assert!(until > Clock::system().now());
        self.certificates.lock().insert(serial_number.to_owned());
    }

    fn statement(&self, digest: &Digest, _: Timestamp) {
        self.statements.lock().insert(*digest);
    }
}

/// An operator that serves lists, and who reads them.
struct Bed {
    set: AuthoritySet,
    ring: KeyRing,
    pages: Pages,
    told: Arc<Told>,
    registry: Registry,
    lists: Lists,
    _serving: JoinSet<()>,
}

async fn page(State(pages): State<Pages>, request: Request) -> Response {
    match pages.lock().get(request.uri().path()) {
        Some(page) => page.clone().into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "another replica leads").into_response(),
    }
}

fn now() -> Timestamp {
    Clock::system().now()
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

impl Bed {
    /// Of a decision point.
    async fn new() -> Self {
        Self::made(|servers, http, ages, told| {
            Lists::to_revoke(servers, http, Clock::system(), ages, told)
        })
        .await
    }

    /// Of an issuing endpoint, which wants no statements.
    async fn passing_on() -> Self {
        Self::made(|servers, http, ages, _| Lists::to_pass_on(servers, http, Clock::system(), ages))
            .await
    }

    async fn made(make: impl FnOnce(&[String], Http, Ages, Arc<dyn Revoke>) -> Lists) -> Self {
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        let want = countersign_authority::Wanted {
            trust_domain: DOMAIN.to_owned(),
            ca_lifetime_seconds: 30 * 86_400,
            key_algorithm: KeyAlgorithm::EcdsaP256,
            epoch: 1,
            distrusted: BTreeSet::new(),
            max_leaf_ttl_seconds: 3600,
            bundle_propagated: true,
            propagation_seconds: 60,
        };
        let set = AuthoritySet::default().next(&want, ago(3600));
        let want = WantedKeys {
            trust_domain: DOMAIN.to_owned(),
            lifetime_seconds: 30 * 86_400,
            epoch: 1,
            distrusted: BTreeSet::new(),
            longest_statement_seconds: 3600,
            propagated: true,
            propagation_seconds: 60,
        };
        let ring = KeyRing::default().next(&want, ago(3600));
        let pages = Pages::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(page).with_state(Arc::clone(&pages));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let mut registry = Registry::default();
        let ages = Ages::register(&mut registry);
        let told = Arc::new(Told::default());
        let tls = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
        let http = Http::new(tls.with_no_client_auth());
        // The first of two doesn't lead.
        let servers = [
            format!("http://{address}/idle"),
            format!("http://{address}/"),
        ];
        let revoke: Arc<dyn Revoke> = Arc::clone(&told) as Arc<dyn Revoke>;
        let lists = make(&servers, http, ages, revoke);
        let bed = Self {
            set: set.unwrap().unwrap(),
            ring: ring.unwrap().unwrap(),
            pages,
            told,
            registry,
            lists,
            _serving: serving,
        };
        bed.lists.set_domain(DOMAIN, Some(bed.wanted()));
        bed
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            bundle: Arc::new(self.set.bundle()),
            keys: (self.lists.revoke.is_some()).then(|| Arc::new(self.ring.trusted().unwrap())),
            signing: vec![self.set.active().unwrap().id().to_string()],
        }
    }

    fn serve(&self, page: &str, body: Vec<u8>) {
        let path = format!("/revocations/{DOMAIN}/{page}");
        self.pages.lock().insert(path, body);
    }

    fn crl_page(&self) -> String {
        format!("certificates/{}.crl", self.set.active().unwrap().id())
    }

    fn crl(&self, serials: &[&str], number: u64, at: Timestamp) -> Vec<u8> {
        let signer = self.set.signer().unwrap().unwrap();
        let lines = serials.iter().map(|serial_number| Revoked {
            serial_number,
            at,
            reason: RevocationReason::Unspecified,
        });
        let until = at + SignedDuration::from_secs(60);
        let lines: Vec<_> = lines.collect();
        signer.crl(&lines, number, at, until).unwrap().der
    }

    fn statements(&self, partition: u32, digests: &[Digest], number: u64) -> Vec<u8> {
        let until = now() + SignedDuration::from_secs(60);
        let place = (partition, PARTITIONS);
        let digests = digests.iter().copied();
        let list = revocation::List::new(now(), until, number, place, digests).unwrap();
        let signer = self.ring.signer(Purpose::Lists).unwrap();
        list.sign(&signer).unwrap().into_bytes()
    }

    /// As an operator does it.
    fn serve_all(&self, serials: &[&str], digests: &[Digest], number: u64) {
        self.serve(&self.crl_page(), self.crl(serials, number, now()));
        for partition in 0..PARTITIONS {
            let page = format!("statements/{partition}");
            self.serve(&page, self.statements(partition, digests, number));
        }
    }

    /// What is known after a look at the servers, from nothing but what is held.
    async fn look(&self) -> BTreeSet<String> {
        self.lists.refresh(DOMAIN, &self.wanted()).await;
        self.told.certificates.lock().clear();
        for domain in self.lists.domains.lock().values_mut() {
            // As if it were long ago that it was told.
            let later = now() + SignedDuration::from_hours(1);
            domain.held.tell(&*self.told, later);
        }
        self.lists.tell();
        self.told.certificates.lock().clone()
    }

    /// What is passed on after a look at the servers.
    async fn passed(&self) -> Vec<Vec<u8>> {
        self.lists.refresh(DOMAIN, &self.wanted()).await;
        self.lists.tell();
        let crls = self.lists.crls(DOMAIN);
        crls.iter().map(|it| it.to_vec()).collect()
    }

    /// May its agents be answered?
    fn known(&self) -> bool {
        self.lists.set_domain(DOMAIN, Some(self.wanted()))
    }

    fn in_trouble(&self) -> bool {
        self.lists.domains.lock()[DOMAIN].trouble
    }
}

fn set(serials: &[&str]) -> BTreeSet<String> {
    serials.iter().map(|it| (*it).to_owned()).collect()
}

#[tokio::test]
async fn a_trust_domain_is_unknown_until_every_list_of_it_was_read() {
    let bed = Bed::new().await;
    assert_eq!(bed.look().await, set(&[]));
    assert!(!bed.lists.ready() && bed.in_trouble());
    let digest = Digest::from_bytes([7; 32]);
    bed.serve_all(&["0a", "0b"], &[digest], 1);
    let last = format!("/revocations/{DOMAIN}/statements/1");
    let kept = bed.pages.lock().remove(&last).unwrap();
    bed.look().await;
    assert!(!bed.lists.ready() && !bed.known(), "one list is missing");
    bed.pages.lock().insert(last, kept);
    assert_eq!(bed.look().await, set(&["0a", "0b"]));
    assert!(bed.lists.ready() && bed.known() && !bed.in_trouble());
    assert!(bed.told.statements.lock().contains(&digest));
    let mut text = String::new();
    encode(&mut text, &bed.registry).unwrap();
    assert!(text.contains(r#"list="statements/1""#), "{text}");
    bed.lists.set_domain(DOMAIN, None);
    let mut text = String::new();
    encode(&mut text, &bed.registry).unwrap();
    assert!(!text.contains("statements/1"), "{text}");
    // Its agents are unknown; what was revoked of them stays so, for it may come back.
    bed.pages.lock().clear();
    assert!(bed.known(), "it was read before it went");
    assert_eq!(bed.look().await, set(&["0a", "0b"]));
}

#[tokio::test]
async fn a_trust_domain_without_lists_keeps_no_other_from_being_answered() {
    let bed = Bed::new().await;
    let broken = Wanted {
        signing: Vec::new(),
        ..bed.wanted()
    };
    assert!(!bed.lists.set_domain("broken.example", Some(broken.clone())));
    bed.serve_all(&["0a"], &[], 1);
    bed.look().await;
    assert!(!bed.lists.ready(), "one wasn't even tried");
    assert!(!bed.lists.refresh("broken.example", &broken).await);
    bed.lists.tell();
    assert!(bed.lists.ready() && bed.known());
    assert!(!bed.lists.set_domain("broken.example", Some(broken)));
    // One that comes later is asked for as well.
    let later = bed.wanted();
    assert!(!bed.lists.set_domain("later.example", Some(later)));
}

#[tokio::test]
async fn a_revocation_stays_when_a_fetch_fails_and_when_a_list_is_bad() {
    let bed = Bed::new().await;
    bed.serve_all(&["0a"], &[], 5);
    assert_eq!(bed.look().await, set(&["0a"]));
    let other = Bed::new().await;
    let mut torn = bed.crl(&[], 9, now());
    *torn.last_mut().unwrap() ^= 1;
    for bad in [
        bed.crl(&[], 4, now()),                                   // an older one
        bed.crl(&[], 9, ago(61)),                                 // past its time
        bed.crl(&[], 9, now() + SignedDuration::from_secs(3600)), // of a clock that is ahead
        other.crl(&[], 9, now()),                                 // another authority's
        torn,
        b"<html>".to_vec(),
        Vec::new(),
    ] {
        bed.serve(&bed.crl_page(), bad);
        assert_eq!(bed.look().await, set(&["0a"]));
        assert!(bed.in_trouble() && bed.lists.ready());
    }
    bed.pages.lock().clear();
    assert_eq!(bed.look().await, set(&["0a"]));
    bed.serve_all(&["0b"], &[], 6);
    assert_eq!(bed.look().await, set(&["0b"]));
    assert!(!bed.in_trouble());
}

#[tokio::test]
async fn a_list_of_statements_that_is_forged_or_misplaced_counts_for_nothing() {
    let bed = Bed::new().await;
    let other = Bed::new().await;
    for bad in [
        other.statements(1, &[], 2),
        bed.statements(0, &[], 2),
        b"a.b.c".to_vec(),
        vec![0xff; 100],
    ] {
        bed.serve_all(&[], &[], 1);
        bed.serve("statements/1", bad);
        bed.look().await;
        assert!(!bed.lists.ready());
    }
}

#[tokio::test]
async fn an_authority_that_signs_no_more_keeps_its_last_list_until_it_leaves_the_bundle() {
    let bed = Bed::new().await;
    bed.serve_all(&["0a"], &[], 1);
    bed.look().await;
    let retired = Wanted {
        signing: Vec::new(),
        ..bed.wanted()
    };
    bed.lists.set_domain(DOMAIN, Some(retired.clone()));
    bed.lists.tell();
    assert_eq!(bed.lists.domains.lock()[DOMAIN].held.names().count(), 3);
    let distrusted = Wanted {
        bundle: Arc::new(Bundle::new(2, [])),
        ..retired
    };
    bed.lists.set_domain(DOMAIN, Some(distrusted));
    bed.lists.tell();
    assert_eq!(bed.lists.domains.lock()[DOMAIN].held.names().count(), 2);
}

#[tokio::test]
async fn it_reads_by_itself_once_all_trust_domains_are_known() {
    let bed = Bed::new().await;
    bed.serve_all(&["0a"], &[], 1);
    let lists = Arc::new(bed.lists);
    let listed = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let flag = Arc::clone(&listed);
    let (read, first) = tokio::sync::mpsc::unbounded_channel();
    let told = move |name: &str| read.send(name.to_owned()).unwrap();
    let all_known = move || flag.load(Ordering::Relaxed);
    tasks.spawn(Arc::clone(&lists).run(all_known, told));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!lists.ready());
    listed.store(true, Ordering::Relaxed);
    while !lists.ready() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(bed.told.certificates.lock().contains("0a"));
    let mut first = first;
    assert_eq!(first.recv().await.as_deref(), Some(DOMAIN));
}

#[tokio::test]
async fn what_is_passed_on_is_the_last_good_list_whatever_comes_later() {
    let bed = Bed::passing_on().await;
    assert!(bed.passed().await.is_empty(), "nobody serves any");
    let good = bed.crl(&["0a"], 5, now());
    bed.serve(&bed.crl_page(), good.clone());
    assert_eq!(bed.passed().await, vec![good.clone()]);
    let first = bed.lists.crls(DOMAIN);
    let other = Bed::passing_on().await;
    for bad in [
        bed.crl(&["0b"], 4, now()),   // an older one
        bed.crl(&["0b"], 9, ago(61)), // past its time
        bed.crl(&["0b"], 9, now() + SignedDuration::from_secs(3600)), // of a clock that is ahead
        other.crl(&["0b"], 9, now()), // another authority's
        b"<html>".to_vec(),
    ] {
        bed.serve(&bed.crl_page(), bad);
        assert_eq!(bed.passed().await, vec![good.clone()]);
        assert!(bed.in_trouble());
    }
    bed.pages.lock().clear();
    assert_eq!(bed.passed().await, [good]);
    // With the same entries it is no other list, as long as half of its time isn't over.
    bed.serve(&bed.crl_page(), bed.crl(&["0a"], 10, now()));
    bed.passed().await;
    assert!(Arc::ptr_eq(&bed.lists.crls(DOMAIN), &first) && !bed.in_trouble());
    let more = bed.crl(&["0a", "0b"], 11, now());
    bed.serve(&bed.crl_page(), more.clone());
    assert_eq!(bed.passed().await, [more]);
    let mut text = String::new();
    encode(&mut text, &bed.registry).unwrap();
    assert!(text.contains("certificates/"), "{text}");
    assert!(!text.contains("statements/"), "{text}");
    // What an authority signed counts for nothing once it isn't trusted.
    let distrusted = Wanted {
        bundle: Arc::new(Bundle::new(2, [])),
        keys: None,
        signing: Vec::new(),
    };
    bed.lists.set_domain(DOMAIN, Some(distrusted));
    bed.lists.tell();
    assert!(bed.lists.crls(DOMAIN).is_empty());
}

#[test]
fn lists_are_served_by_http() {
    for good in ["http://10.0.0.1:8081", "https://lists.example.org/a/"] {
        assert!(is_server(good), "{good}");
    }
    for bad in [
        "",
        "lists",
        "/lists",
        "ftp://a",
        "http://",
        "http://a?b",
        "a:1",
    ] {
        assert!(!is_server(bad), "{bad}");
    }
}

//! The files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use countersign_authority::{PrivateKey, inspect_leaf};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::fixture::TrustDomain;
use crate::files::Files;
use crate::metrics::Metrics;
use crate::view::{Standing, View, Why};

fn active(domain: &TrustDomain) -> Arc<View> {
    let (held, trust) = domain.held();
    Arc::new(View {
        held: Some(Arc::new(held)),
        trust: Some(Arc::new(trust)),
        standing: Standing::Active,
    })
}

fn closed() -> Arc<View> {
    Arc::new(View {
        standing: Standing::Closed(Why::new("TaskOver", "done")),
        ..View::default()
    })
}

async fn until(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), wait).await.unwrap();
}

#[tokio::test]
async fn files_come_change_together_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tls");
    let domain = TrustDomain::new();
    let (views, view) = watch::channel(Arc::new(View::default()));
    let mut tasks = JoinSet::new();
    tasks.spawn(Files::new(folder.clone()).follow(view, Metrics::default()));
    views.send(active(&domain)).unwrap();
    let read = |name: &str| fs::read_to_string(folder.join(name));
    until(|| read("ca.crt").is_ok()).await;
    let first = read("tls.crt").unwrap();
    for name in ["tls.crt", "tls.key", "ca.crt"] {
        let mode = fs::metadata(folder.join(name)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
    PrivateKey::from_pem(&read("tls.key").unwrap()).unwrap();
    // Whoever resolves the link once has a certificate with its own key, whenever that is.
    for _ in 0..20 {
        views.send(active(&domain)).unwrap();
        let data = fs::canonicalize(folder.join("..data")).unwrap();
        let pair = (
            fs::read(data.join("tls.crt")),
            fs::read(data.join("tls.key")),
        );
        if let (Ok(chain), Ok(key)) = pair {
            inspect_leaf(&chain, Some(&key)).unwrap();
        }
        sleep(Duration::from_millis(3)).await;
    }
    until(|| read("tls.crt").is_ok_and(|it| it != first)).await;
    views.send(closed()).unwrap();
    until(|| fs::read_dir(&folder).unwrap().count() == 0).await;
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_and_leaves_nothing_half_done() {
    let dir = tempfile::tempdir().unwrap();
    // A file stands where the folder should be: as good as no room, and root can't write there either.
    let folder = dir.path().join("tls");
    fs::write(&folder, "in the way").unwrap();
    let metrics = Metrics::default();
    let (views, view) = watch::channel(active(&TrustDomain::new()));
    let mut tasks = JoinSet::new();
    tasks.spawn(Files::new(folder.clone()).follow(view, metrics.clone()));
    until(|| metrics.files_failed.get() == 1).await;
    // It is tried again with what is new.
    fs::remove_file(&folder).unwrap();
    views.send(active(&TrustDomain::new())).unwrap();
    until(|| folder.join("tls.key").exists()).await;
}

#[test]
fn what_others_put_into_the_folder_stays() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["notes", "tls.crt", "..notours"] {
        fs::write(dir.path().join(name), "kept").unwrap();
    }
    fs::create_dir(dir.path().join("..ab.1")).unwrap();
    Files::new(dir.path().to_owned()).remove().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

//! What starts and what must not stay.

use std::fs;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use countersign_testbed::{ControlPlane, Options};
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};

use crate::TESTBED;

#[tokio::test]
async fn api_servers_come_and_go_on_the_same_data() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let first = plane.api_server_pid().unwrap();
    let namespace = plane.namespace("kept").await.unwrap();

    let second = plane.second_api_server().await.unwrap();
    let through_second = kube::Client::try_from(second).unwrap();
    Api::<Namespace>::all(through_second.clone())
        .get(&namespace)
        .await
        .unwrap();

    plane.kill_api_server();
    assert_eq!(plane.api_server_pid(), None);
    assert!(
        plane
            .client()
            .await
            .unwrap()
            .apiserver_version()
            .await
            .is_err()
    );
    Api::<Namespace>::all(through_second)
        .get(&namespace)
        .await
        .unwrap();

    plane.restart_api_server().await.unwrap();
    assert_ne!(plane.api_server_pid().unwrap(), first);
    let namespaces = Api::<Namespace>::all(plane.client().await.unwrap());
    namespaces.get(&namespace).await.unwrap();

    let dir = plane.dir().to_owned();
    assert!(!running_in(&dir).is_empty());
    plane.stop();
    assert_eq!(running_in(&dir), [""; 0]);
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_watch_from_a_compacted_revision_is_answered_410() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let namespaces = Api::<Namespace>::all(plane.client().await.unwrap());
    let list = namespaces.list(&ListParams::default()).await.unwrap();
    let old = list.metadata.resource_version.unwrap();
    plane.namespace("newer").await.unwrap();

    let first = plane.compact_etcd().await.unwrap();
    assert!(first > old.parse().unwrap());
    assert!(plane.compact_etcd().await.unwrap() >= first);
    plane.restart_api_server().await.unwrap();

    let events = namespaces
        .watch(&WatchParams::default(), &old)
        .await
        .unwrap();
    let event = pin!(events).try_next().await.unwrap().unwrap();
    assert!(
        matches!(&event, WatchEvent::Error(status) if status.code == 410),
        "{event:?}"
    );
}

#[test]
fn nothing_stays_when_the_parent_is_killed() {
    let mut parent = Command::new(TESTBED)
        .args([
            "run",
            "--",
            "sh",
            "-c",
            "dirname $KUBECONFIG; exec sleep 1000",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(parent.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let dir = Path::new(line.trim());
    assert!(running_in(dir).len() >= 3);

    parent.kill().unwrap();
    parent.wait().unwrap();
    let started = Instant::now();
    while dir.exists() || !running_in(dir).is_empty() {
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "{:?}",
            running_in(dir)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    // The command had our stdout: its end is the end of the file.
    assert_eq!(
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap(),
        0
    );
}

#[test]
fn the_exit_code_of_the_command_is_passed_on() {
    let status = Command::new(TESTBED)
        .args(["run", "--", "sh", "-c", "exit 7"])
        .status();
    assert_eq!(status.unwrap().code(), Some(7));
}

#[test]
fn a_cluster_stays_until_it_is_taken_down() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().canonicalize().unwrap().join("cluster");
    let testbed = |action: &str| {
        let output = Command::new(TESTBED)
            .arg(action)
            .arg("--dir")
            .arg(&dir)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(testbed("up").contains("export KUBECONFIG="));
    let pids = fs::read_to_string(dir.join("pids")).unwrap();
    assert_eq!(pids.lines().count(), 3);

    assert!(testbed("up").contains("already"));
    assert_eq!(fs::read_to_string(dir.join("pids")).unwrap(), pids);

    let names = Command::new(dir.join("bin/kubectl"))
        .args(["get", "namespaces", "-o", "name"])
        .env("KUBECONFIG", dir.join("kubeconfig"))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&names.stdout).contains("namespace/default"));

    testbed("down");
    assert!(!dir.exists());
    assert_eq!(running_in(&dir), [""; 0]);
    assert!(testbed("down").contains("no control plane"));
}

#[test]
fn a_folder_that_is_not_a_cluster_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("precious"), "").unwrap();
    for action in ["up", "down"] {
        let output = Command::new(TESTBED)
            .arg(action)
            .arg("--dir")
            .arg(dir.path())
            .output();
        assert!(!output.unwrap().status.success());
    }
    assert!(dir.path().join("precious").exists());
}

/// The command lines of all processes that have the folder in their arguments, zombies aside.
pub(crate) fn running_in(dir: &Path) -> Vec<String> {
    let dir = dir.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&dir) && !line.contains(" up ") && !line.contains(" down "))
        .collect()
}

//! The node, tried for real: `make node-test`, since its programs take minutes to build and it needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign_testbed::{ControlPlane, Image, Options};
use serde_json::{Value, json};

use crate::TESTBED;
use crate::processes::running_in;

const IMAGE: &str = "shell:test";

#[tokio::test]
#[ignore = "needs a node: make node-test"]
async fn a_job_runs_to_its_end_with_a_token_and_a_trust_bundle() {
    let plane = plane().await;
    let root = fs::read_to_string(plane.dir().join("ca.crt")).unwrap();
    let name = "countersign.dev:agent:example.org";
    apply(
        &plane,
        &json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "ClusterTrustBundle",
            "metadata": {"name": name},
            "spec": {"signerName": "countersign.dev/agent", "trustBundle": root},
        }),
    )
    .await;
    let mut pod = shell("cat /credentials/token; echo; cat /credentials/ca.crt; id -u; pwd");
    pod["volumes"] = json!([{"name": "credentials", "projected": {"sources": [
        {"serviceAccountToken": {"audience": "countersign", "path": "token"}},
        {"clusterTrustBundle": {"name": name, "path": "ca.crt"}},
    ]}}]);
    pod["containers"][0]["volumeMounts"] =
        json!([{"name": "credentials", "mountPath": "/credentials"}]);
    // As strict as a pod can be, its network aside.
    pod["containers"][0]["securityContext"] = json!({
        "runAsNonRoot": true,
        "readOnlyRootFilesystem": true,
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    apply(
        &plane,
        &json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "reads", "namespace": "default"},
            "spec": {"backoffLimit": 0, "template": {"spec": pod}},
        }),
    )
    .await;
    plane
        .kubectl(&[
            "wait",
            "job/reads",
            "--for=condition=Complete",
            "--timeout=60s",
        ])
        .await
        .unwrap();

    let log = plane.kubectl(&["logs", "job/reads"]).await.unwrap();
    let (token, rest) = log.split_once('\n').unwrap();
    assert_eq!(token.split('.').count(), 3, "{log}");
    assert_eq!(rest.trim(), format!("{}\n65532\n/", root.trim()));
}

#[tokio::test]
#[ignore = "needs a node: make node-test"]
async fn a_pod_asks_the_api_server_and_a_service_and_takes_commands() {
    let plane = plane().await;
    let mut pod = shell("sleep 1000");
    pod["restartPolicy"] = json!("Always");
    apply(
        &plane,
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sleeps"}, "spec": pod}),
    )
    .await;
    plane
        .kubectl(&[
            "wait",
            "pod/sleeps",
            "--for=condition=Ready",
            "--timeout=60s",
        ])
        .await
        .unwrap();
    let variables = plane
        .kubectl(&["exec", "sleeps", "--", "env"])
        .await
        .unwrap();
    let url = plane.config().unwrap().cluster_url;
    assert!(variables.contains("KUBERNETES_SERVICE_HOST=127.0.0.1\n"));
    let port = format!("KUBERNETES_SERVICE_PORT={}\n", url.port_u16().unwrap());
    assert!(variables.contains(&port), "{variables}");

    // Whoever listens on a Service's port is reached by its address.
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let port = port.to_string();
    plane
        .kubectl(&[
            "create",
            "service",
            "clusterip",
            "here",
            &format!("--tcp={port}"),
        ])
        .await
        .unwrap();
    let address = plane
        .kubectl(&["get", "service", "here", "-o", "jsonpath={.spec.clusterIP}"])
        .await
        .unwrap();
    tokio::net::TcpStream::connect(format!("{address}:{port}"))
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs a node: make node-test"]
async fn nothing_of_a_node_outlives_it() {
    let plane = plane().await;
    apply(
        &plane,
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sleeps"}, "spec": shell("sleep 12345")}),
    )
    .await;
    plane
        .kubectl(&[
            "wait",
            "pod/sleeps",
            "--for=condition=Ready",
            "--timeout=60s",
        ])
        .await
        .unwrap();
    let dir = plane.dir().to_owned();
    let groups = groups_of(&dir);
    assert!(!groups.is_empty() && groups.iter().all(|group| group.is_dir()));
    assert!(
        running_in(&dir)
            .iter()
            .any(|line| line.contains("containerd-shim"))
    );

    let started = Instant::now();
    plane.stop();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(running_in(&dir), [""; 0]);
    assert_eq!(commands("sleep 12345"), 0);
    assert!(groups.iter().all(|group| !group.exists()));
    assert!(!dir.exists());
}

#[test]
#[ignore = "needs a node: make node-test"]
fn nothing_of_a_node_stays_when_its_parent_is_killed() {
    let work = tempfile::tempdir().unwrap();
    let image = work.path().join("shell.tar");
    image_of_a_shell().write(&image).unwrap();
    let script = format!(
        "ctr -n k8s.io images import {} >/dev/null && \
         kubectl run sleeps --image={IMAGE} --image-pull-policy=Never --restart=Never -- -c 'sleep 54321' >/dev/null && \
         kubectl wait pod/sleeps --for=condition=Ready --timeout=60s >/dev/null && \
         dirname $KUBECONFIG && exec sleep 1000",
        image.display()
    );
    let parent = Command::new(TESTBED)
        .args(["run", "--node", "--", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn();
    let mut parent = Ended(parent.unwrap());
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(parent.0.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let dir = PathBuf::from(line.trim());
    let groups = groups_of(&dir);
    assert!(!groups.is_empty());
    // The pod is ready as soon as its shell runs, and that has yet to start it.
    let started = Instant::now();
    while commands("sleep 54321") == 0 {
        assert!(started.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(50));
    }

    drop(parent);
    let started = Instant::now();
    let stays = || {
        dir.exists()
            || !running_in(&dir).is_empty()
            || commands("sleep 54321") > 0
            || groups.iter().any(|group| group.exists())
    };
    while stays() {
        assert!(started.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Killed at the latest when the test fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn plane() -> ControlPlane {
    let plane = ControlPlane::start(Options::with_node()).await.unwrap();
    plane.load_image(&image_of_a_shell()).await.unwrap();
    plane
}

/// A shell and what it needs, of this machine.
fn image_of_a_shell() -> Image {
    let programs = ["sh", "cat", "id", "sleep", "env"];
    let program = |name| {
        let found = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
        let found = found.into_iter().find(|path| path.exists()).unwrap();
        (found, Path::new("/bin").join(name))
    };
    Image {
        name: IMAGE.to_owned(),
        files: programs.map(program).to_vec(),
        user: "65532:65532".to_owned(),
        entrypoint: vec!["/bin/sh".to_owned()],
        ..Image::default()
    }
}

/// A pod that runs a line of shell once.
fn shell(line: &str) -> Value {
    json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [{
            "name": "main", "image": IMAGE, "imagePullPolicy": "Never", "args": ["-c", line],
        }],
    })
}

async fn apply(plane: &ControlPlane, object: &Value) {
    let started = Instant::now();
    let text = object.to_string();
    // A namespace's account comes a moment after it.
    while let Err(error) = plane.kubectl_with_input(&["apply", "-f", "-"], &text).await {
        assert!(started.elapsed() < Duration::from_secs(10), "{error:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn groups_of(dir: &Path) -> Vec<PathBuf> {
    let groups = fs::read_to_string(dir.join("node/cgroups")).unwrap();
    groups.lines().map(PathBuf::from).collect()
}

/// How many processes of the machine have exactly this command line.
fn commands(line: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .filter(|found| String::from_utf8_lossy(found).replace('\0', " ").trim() == line)
        .count()
}

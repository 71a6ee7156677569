//! The Workload API, as go-spiffe speaks it: `tests/clients`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use countersign_issuing::State;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::{Instant, timeout};

use crate::fake_issuer::{AGENT, FakeIssuer};
use crate::pod::{Pod, SOON};

/// The program, built once for each of its versions; `None` without Go, which is said loudly.
fn program() -> Option<PathBuf> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients");
    if Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!("SKIPPED: go-spiffe was not asked, since there is no Go to build it with");
        return None;
    }
    let sources = ["main.go", "go.mod", "go.sum"].map(|name| fs::read(module.join(name)).unwrap());
    let digest = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let digest = digest
        .tls13()
        .unwrap()
        .common
        .hash_provider
        .hash(&sources.concat());
    let name: String = digest.as_ref()[..8]
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    let home = std::env::var_os("HOME").unwrap();
    let folder = Path::new(&home).join(".cache/countersign/tools");
    let program = folder.join(format!("spiffe-client-{name}"));
    if !program.exists() {
        fs::create_dir_all(&folder).unwrap();
        eprintln!("building {} once", program.display());
        // Another test may do the same at the same time: each under its own name first.
        let mine = folder.join(format!(
            "spiffe-client-{name}.{:?}",
            std::thread::current().id()
        ));
        let mut go = Command::new("go");
        go.args(["build", "-trimpath", "-o"]).arg(&mine).arg(".");
        assert!(go.current_dir(module).status().unwrap().success());
        fs::rename(mine, &program).unwrap();
    }
    Some(program)
}

async fn say(program: &Path, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(program);
    let output = command.args(arguments).kill_on_drop(true).output();
    let output = timeout(Duration::from_secs(30), output)
        .await
        .unwrap()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_spiffe_takes_certificates_and_tokens_and_verifies_them() {
    let Some(program) = program() else { return };
    let issuer = FakeIssuer::start().await;
    let pod = Pod::start(&issuer).await;
    let socket = pod.socket();
    let said = say(&program, &["identity", socket.to_str().unwrap()]).await;
    assert_eq!(
        said,
        format!("certificate {AGENT}\nroots 1\ntoken {AGENT}\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pods_talk_mtls_by_go_spiffe() {
    let Some(program) = program() else { return };
    let issuer = FakeIssuer::start().await;
    let (server, client) = (Pod::start(&issuer).await, Pod::start(&issuer).await);
    let sockets = [server.socket(), client.socket()];
    let sockets = sockets.each_ref().map(|it| it.to_str().unwrap());
    let said = say(&program, &["mtls", sockets[0], sockets[1]]).await;
    assert_eq!(said, "mtls hello\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_spiffe_is_told_of_renewals_and_of_the_end() {
    let Some(program) = program() else { return };
    let issuer = FakeIssuer::start().await;
    let pod = Pod::start(&issuer).await;
    let mut watching = tokio::process::Command::new(program)
        .arg("watch")
        .arg(pod.socket())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut line = async || {
        timeout(SOON, lines.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
    };
    let first = line().await;
    assert!(first.starts_with("update "), "{first}");
    issuer.inner.reissue();
    let second = line().await;
    assert!(second.starts_with("update ") && second != first, "{second}");
    let start = Instant::now();
    issuer.inner.tell(State::Ended, "TaskOver");
    assert_eq!(line().await, "error PermissionDenied");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    eprintln!("from the endpoint's word to go-spiffe's error: {took:?}");
}

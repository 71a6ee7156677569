//! go-spiffe, which nobody here wrote, at the socket of a sidecar of the real endpoint.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use countersign_testbed::{Wanted, left_out};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use super::program::Agent;
use super::setting;
use crate::issuer::program::Issuer;

/// A certificate of a minute is renewed after half of it.
const RENEWAL: Duration = Duration::from_secs(60);

/// The program, built once for each of its versions; `None` without Go, and a word on it.
fn program() -> Option<PathBuf> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    if Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        left_out(Wanted::Go, "there is no Go to build go-spiffe with");
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

#[tokio::test]
async fn go_spiffe_takes_certificates_and_tokens_and_verifies_them() {
    let Some(program) = program() else { return };
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, id) = setting(world).await;
    let agent = Agent::start(world, issuer, &space.token(&pod).await).await;
    let said = say(&program, &["identity", agent.socket().to_str().unwrap()]).await;
    assert_eq!(said, format!("certificate {id}\nroots 1\ntoken {id}\n"));
}

#[tokio::test]
async fn two_pods_talk_mtls_by_go_spiffe() {
    let Some(program) = program() else { return };
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, _) = setting(world).await;
    let (far, other, _) = setting(world).await;
    let server = Agent::start(world, issuer, &space.token(&pod).await).await;
    let client = Agent::start(world, issuer, &far.token(&other).await).await;
    let sockets = [server.socket(), client.socket()];
    let sockets = sockets.each_ref().map(|it| it.to_str().unwrap());
    let said = say(&program, &["mtls", sockets[0], sockets[1]]).await;
    assert_eq!(said, "mtls hello\n");
}

#[tokio::test]
async fn go_spiffe_is_told_of_a_renewal_and_of_the_end() {
    let Some(program) = program() else { return };
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, _) = setting(world).await;
    let agent = Agent::start(world, issuer, &space.token(&pod).await).await;
    let mut watching = tokio::process::Command::new(program)
        .arg("watch")
        .arg(agent.socket())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut line = async || {
        let line = timeout(RENEWAL, lines.next_line()).await.unwrap();
        line.unwrap().unwrap()
    };
    let first = line().await;
    assert!(first.starts_with("update "), "{first}");
    let second = line().await;
    assert!(second.starts_with("update ") && second != first, "{second}");
    space.finish_job("work", "Succeeded").await;
    assert_eq!(line().await, "error PermissionDenied");
}

//! A sidecar that was killed, and a socket that was taken away.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;

use super::program::Agent;
use super::setting;
use crate::harness::eventually;
use crate::issuer::program::Issuer;

#[tokio::test]
async fn a_sidecar_that_was_killed_starts_in_the_same_folder_and_serves_again() {
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, id) = setting(world).await;
    let mut agent = Agent::start(world, issuer, &space.token(&pod).await).await;
    let first = agent.client().await.fetch_x509_svid().await.unwrap();
    let file = agent.credential().await;
    // Its socket and its files stay behind; nobody listens any more.
    agent.kill_and_restart(issuer);
    let second = eventually("another certificate", async || {
        if UnixStream::connect(agent.socket()).is_err() {
            return None;
        }
        agent.client().await.fetch_x509_svid().await.ok()
    })
    .await;
    assert_eq!(second.spiffe_id().to_string(), id);
    assert_ne!(first, second, "the key was in memory alone");
    eventually("files of the new one", async || {
        let now = agent.credential().await;
        (now.chain != file.chain && now.key != file.key).then_some(())
    })
    .await;
    assert!(agent.terminate().success());
    assert!(!agent.key_file().exists() && !agent.socket().exists());
}

#[tokio::test]
async fn a_socket_that_somebody_removed_is_there_again_and_streams_go_on() {
    let (world, issuer) = Issuer::shared().await;
    let (space, pod, id) = setting(world).await;
    let agent = Agent::start(world, issuer, &space.token(&pod).await).await;
    let before = agent.client().await;
    before.fetch_x509_svid().await.unwrap();
    let inode = std::fs::metadata(agent.socket()).unwrap().ino();
    std::fs::remove_file(agent.socket()).unwrap();
    eventually("another socket", async || {
        let made = std::fs::metadata(agent.socket()).ok()?;
        (made.ino() != inode).then_some(())
    })
    .await;
    for client in [before, agent.client().await] {
        let svid = client.fetch_x509_svid().await.unwrap();
        assert_eq!(svid.spiffe_id().to_string(), id);
    }
}

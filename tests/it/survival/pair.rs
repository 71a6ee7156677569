//! Two agents who call each other all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use tokio::task::JoinHandle;

use crate::pki::{Credential, handshake};

/// So long the server of the pair takes to notice a new Secret; the client looks each time.
pub(super) const SERVER_LOOKS_EVERY: Duration = Duration::from_millis(1200);
const HANDSHAKE_EVERY: Duration = Duration::from_millis(100);

/// Two agents who connect again and again, each with what it has of its own Secret.
pub(super) struct Pair {
    stop: Arc<AtomicBool>,
    task: JoinHandle<(usize, Vec<String>)>,
}

impl Pair {
    pub(super) fn begin(secrets: Api<Secret>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let look = async |name: &str| Credential::of(&secrets.get(name).await.unwrap());
            let begun = Instant::now();
            let (mut count, mut failed) = (0, Vec::new());
            let mut looked = Instant::now();
            let mut server = look("server-identity").await;
            while !stopped.load(Ordering::Relaxed) {
                if looked.elapsed() > SERVER_LOOKS_EVERY {
                    looked = Instant::now();
                    server = look("server-identity").await;
                }
                let client = look("client-identity").await;
                // Either may call the other.
                for (client, server) in [(&client, &server), (&server, &client)] {
                    count += 1;
                    if let Err(why) = handshake(client, server).await {
                        failed.push(format!("after {:?}: {why}", begun.elapsed()));
                    }
                }
                tokio::time::sleep(HANDSHAKE_EVERY).await;
            }
            (count, failed)
        });
        Self { stop, task }
    }

    /// How many handshakes there were, and those that failed.
    pub(super) async fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

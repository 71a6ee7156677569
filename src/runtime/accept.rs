//! Connections, as many at a time as there is room for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::debug;

/// Before the next try, where there are no file descriptors: they come back.
const PAUSE: Duration = Duration::from_millis(50);

/// Has `serve` deal with each connection in a task of its own, `most` of them at a time, for ever.
/// Whoever comes when it is full waits in the kernel's queue. All connections end with this future.
pub async fn accept<F>(
    listener: TcpListener,
    most: usize,
    mut serve: impl FnMut(TcpStream) -> F,
) -> Infallible
where
    F: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return std::future::pending().await; // never closed
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = serve(stream);
                connections.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(why) => {
                debug!("can't accept a connection: {why}");
                sleep(PAUSE).await;
            }
        }
    }
}

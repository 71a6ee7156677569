//! The unix socket: made, kept, and served.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, warn};

/// A pod has a handful of containers. One more connection waits.
const CONNECTIONS: usize = 256;
/// Of one connection. One more stream waits.
const STREAMS: u32 = 128;
/// Between two looks whether the socket is still there.
const LOOK: Duration = Duration::from_millis(500);
/// After an error of the listener's.
const PAUSE: Duration = Duration::from_millis(100);
/// The pod's user and group: a volume's `fsGroup` lets other users of the pod in.
const MODE: u32 = 0o660;

/// A socket that listens under its path.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    listener: UnixListener,
    inode: (u64, u64),
}

impl Socket {
    /// Makes it, in place of one that a process before left behind.
    ///
    /// # Errors
    /// It can't be made; something that is no socket stands there, or another process listens there.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                let why = "something that is no socket stands there";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
            }
            Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                let why = "another process listens there";
                return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
            }
            Ok(_) => {}
            Err(_) => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
            }
        }
        // Under another name first: whoever sees it may use it, and finds somebody there.
        let mut aside = path.as_os_str().to_owned();
        aside.push(".new");
        let aside = PathBuf::from(aside);
        match fs::remove_file(&aside) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        let listener = UnixListener::bind(&aside)?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(MODE))?;
        fs::rename(&aside, path)?;
        let made = fs::symlink_metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            listener,
            inode: (made.dev(), made.ino()),
        })
    }

    /// Serves for ever. A socket that somebody removed or replaced is made again; connections that are
    /// open stay.
    ///
    /// # Errors
    /// It can't be made again for a reason that doesn't go away.
    pub(crate) async fn serve(mut self, router: Router) -> io::Result<()> {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = self.accept(&places) => {
                    let (stream, place) = accepted;
                    let router = router.clone();
                    connections.spawn(async move {
                        let _place = place;
                        speak(stream, router).await;
                    });
                }
                Some(_) = connections.join_next() => {}
                _ = look.tick() => if !self.is_there() {
                    warn!(socket = %self.path.display(), "the socket was removed: making it again");
                    match Self::bind(&self.path) {
                        Ok(again) => self = again,
                        Err(why) => warn!("the socket can't be made again: {why}"),
                    }
                }
            }
        }
    }

    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> (UnixStream, tokio::sync::OwnedSemaphorePermit) {
        loop {
            let Ok(place) = Arc::clone(places).acquire_owned().await else {
                std::future::pending().await // a semaphore that nobody closes
            };
            match self.listener.accept().await {
                Ok((stream, _)) => return (stream, place),
                Err(why) => {
                    warn!("the socket's listener: {why}");
                    drop(place);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn is_there(&self) -> bool {
        let found = fs::symlink_metadata(&self.path);
        found.is_ok_and(|it| (it.dev(), it.ino()) == self.inode)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.is_there()
            && let Err(why) = fs::remove_file(&self.path)
        {
            debug!("the socket stays behind: {why}");
        }
    }
}

async fn speak(stream: UnixStream, router: Router) {
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS);
    let service = TowerToHyperService::new(router);
    if let Err(why) = builder
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        debug!("a connection: {why}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("below").join("agent.sock");
        let first = Socket::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        // Somebody listens there.
        let refused = Socket::bind(&path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        // A process that was killed leaves it behind.
        let stale = dir.path().join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        drop(Socket::bind(&stale).unwrap());
        assert!(!stale.exists(), "removed at the end");
        // A file is somebody's.
        let file = dir.path().join("file");
        fs::write(&file, "kept").unwrap();
        assert!(Socket::bind(&file).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        drop(first);
    }

    #[tokio::test]
    async fn a_socket_that_was_removed_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        let socket = Socket::bind(&path).unwrap();
        let mut server = JoinSet::new();
        server.spawn(socket.serve(Router::new()));
        UnixStream::connect(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        let again = async {
            while UnixStream::connect(&path).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(5), again).await.unwrap();
    }
}

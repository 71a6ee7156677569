//! The certificate, its key and the roots as files, for those who read files.
//!
//! ```text
//!  tls.crt ─▶ ..data/tls.crt      ..data ─▶ ..<serial number>.<count>/
//! ```
//! `..data` is swapped by one rename, as a kubelet does it, so that whoever reads through it sees a
//! certificate with its own key. Files can be read by the sidecar's user alone.

use std::convert::Infallible;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::warn;
use zeroize::Zeroizing;

use crate::held::Held;
use crate::metrics::Metrics;
use crate::pem_text;
use crate::trust::Trust;
use crate::view::{Both, View};

const DATA: &str = "..data";
const NEXT: &str = "..data_next";
const NAMES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// A disk that is full may have room again.
const AGAIN: Duration = Duration::from_secs(5);

/// The folder.
#[derive(Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    count: u64,
}

impl Files {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, count: 0 }
    }

    /// Writes what there is to be had whenever it changes, and removes it when there is nothing any
    /// more. For ever.
    pub(crate) async fn follow(
        mut self,
        mut views: watch::Receiver<Arc<View>>,
        metrics: Metrics,
    ) -> Infallible {
        let mut written = None;
        loop {
            let view = Arc::clone(&views.borrow_and_update());
            let wanted = view.both();
            if written.as_ref() != Some(&version(wanted.as_ref())) {
                let version = version(wanted.as_ref());
                let (this, done) = self.in_background(wanted).await;
                self = this;
                match done {
                    Ok(()) => written = Some(version),
                    Err(why) => {
                        metrics.files_failed.inc();
                        let folder = self.folder.display();
                        warn!(%folder, "the files can't be written: {why}");
                        written = None;
                    }
                }
            }
            let again = async {
                match written {
                    Some(_) => std::future::pending().await,
                    None => sleep(AGAIN).await,
                }
            };
            tokio::select! {
                changed = views.changed() => if changed.is_err() {
                    std::future::pending::<()>().await; // the process ends
                },
                () = again => {}
            }
        }
    }

    async fn in_background(mut self, wanted: Option<Both>) -> (Self, io::Result<()>) {
        let folder = self.folder.clone();
        let count = self.count;
        let work = spawn_blocking(move || {
            let done = match wanted {
                Some((held, trust)) => self.write(&held, &trust),
                None => self.remove(),
            };
            (self, done)
        });
        work.await.unwrap_or_else(|why| {
            let files = Self {
                folder,
                count: count + 1,
            };
            (files, Err(io::Error::other(why)))
        })
    }

    fn write(&mut self, held: &Held, trust: &Trust) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.count += 1;
        // Another for each, also after a restart.
        let name = loop {
            let name = format!("..{}.{}", held.serial_number, self.count);
            match DirBuilder::new()
                .mode(0o700)
                .create(self.folder.join(&name))
            {
                Ok(()) => break name,
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => self.count += 1,
                Err(why) => return Err(why),
            }
        };
        let folder = self.folder.join(&name);
        let key: Zeroizing<String> = held.key.to_pem();
        let contents = [&pem_text::chain(held), &*key, &trust.bundle.pem()];
        let mut files = NAMES.iter().zip(contents);
        let written = files
            .try_for_each(|(file, text)| write_file(&folder.join(file), text))
            .and_then(|()| self.point_at(&name));
        if written.is_err() {
            // Half of it would stay behind on a disk that is full already.
            fs::remove_dir_all(&folder)?;
        }
        written?;
        self.remove_all_but(Some(&name))
    }

    /// Swaps `..data`, and makes the links through it if they are missing.
    fn point_at(&self, name: &str) -> io::Result<()> {
        let next = self.folder.join(NEXT);
        gone(fs::remove_file(&next))?;
        symlink(name, &next)?;
        fs::rename(&next, self.folder.join(DATA))?;
        for name in NAMES {
            let target = Path::new(DATA).join(name);
            match symlink(target, self.folder.join(name)) {
                Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes all that was written, by this process or one before.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for name in NAMES.iter().chain(&[DATA, NEXT]) {
            let path = self.folder.join(name);
            // A file that somebody else put there stays.
            if path.is_symlink() {
                gone(fs::remove_file(path))?;
            }
        }
        self.remove_all_but(None)
    }

    /// Of folders that are named as ours.
    fn remove_all_but(&self, kept: Option<&str>) -> io::Result<()> {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Ok(());
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if kept != Some(&*name) && is_ours(&name) && entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Same text, same files; revocation lists aren't among them.
fn version(wanted: Option<&Both>) -> Option<(String, String)> {
    wanted.map(|(held, trust)| (held.serial_number.clone(), trust.bundle.digest()))
}

/// `..<hex>.<number>`
fn is_ours(name: &str) -> bool {
    let parts = name.strip_prefix("..").and_then(|it| it.split_once('.'));
    parts.is_some_and(|(serial, count)| {
        !serial.is_empty()
            && serial.bytes().all(|it| it.is_ascii_hexdigit())
            && count.parse::<u64>().is_ok()
    })
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    // A full disk may say so only now.
    file.sync_all()
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

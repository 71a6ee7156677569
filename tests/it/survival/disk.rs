//! A small disk that can be full.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_testbed::{Wanted, left_out};
use rustix::process::getuid;

/// A file system in memory, mounted until this is dropped.
pub(super) struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// `None`, and a word on it, for who may not mount. `within` must outlive it.
    pub(super) fn mount(within: &Path) -> Option<Self> {
        if !getuid().is_root() {
            left_out(Wanted::Disk, "only root may mount a small disk");
            return None;
        }
        let dir = within.join("disk");
        std::fs::create_dir(&dir).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(&dir)
            .status();
        assert!(mounted.unwrap().success(), "mount a small disk");
        Some(Self { dir })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Not a byte is left.
    pub(super) fn fill(&self) {
        let mut ballast = File::create(self.path("ballast")).unwrap();
        let full = loop {
            if let Err(why) = ballast.write_all(&[0; 4096]) {
                break why;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    pub(super) fn make_room(&self) {
        std::fs::remove_file(self.path("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open in it is about to go.
        let _gone = Command::new("umount").arg("-l").arg(&self.dir).status();
    }
}

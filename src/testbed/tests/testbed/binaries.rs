//! Finding and building the programs, with a Go of our own that is quicker than the real one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::TESTBED;

/// Notes what it builds and takes a moment for each.
const FAKE_GO: &str = r#"#!/bin/sh
if [ "$1" = env ]; then echo VERSION; exit; fi
for word; do [ "$previous" = -o ] && target=$word; previous=$word; done
[ -f go.sum ] && echo "$word" >> ../../built
sleep PAUSE
echo program > "$target"
"#;

/// A cache folder and a PATH with nothing but the tools that are needed.
struct Place {
    dir: TempDir,
}

#[test]
fn two_may_look_for_the_programs_at_once_and_one_builds() {
    let place = Place::with_go("go1.26.0", "0.1");
    let both = [place.look_for_programs(), place.look_for_programs()];
    let [one, other] = both.map(|child| child.wait_with_output().unwrap());
    assert!(
        one.status.success() && other.status.success(),
        "{one:?} {other:?}"
    );
    assert_eq!(one.stdout, other.stdout);

    let built = fs::read_to_string(place.cache().join("built")).unwrap();
    assert_eq!(built.lines().count(), 4, "{built}");
    let messages = stderr(&one) + &stderr(&other);
    assert!(messages.contains("waiting for it"), "{messages}");
    assert!(messages.contains("[4/4]"), "{messages}");

    let folder = PathBuf::from(String::from_utf8(one.stdout).unwrap().trim());
    assert!(folder.join("kube-apiserver").is_file());
    let scratch = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(
        scratch
            .filter(|name| name.to_string_lossy().contains("module"))
            .count(),
        0
    );
}

#[test]
fn a_build_ends_with_the_one_who_wanted_it() {
    let place = Place::with_go("go1.26.0", "1000");
    let mut child = place.look_for_programs();
    let built = place.cache().join("built");
    eventually("the build", || built.exists());
    child.kill().unwrap();
    child.wait().unwrap();

    let scratch = || {
        let folder = fs::read_dir(place.cache())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut inside = folder
            .filter(|path| path.is_dir())
            .flat_map(|path| fs::read_dir(path).unwrap());
        inside.any(|entry| entry.unwrap().path().is_dir())
    };
    eventually("the end of the scratch folder", || !scratch());
    let again = place.look_for_programs();
    eventually("a second build", || {
        fs::read_to_string(&built).unwrap().lines().count() == 2
    });
    drop(Ended(again));
}

#[test]
fn without_go_the_ways_out_are_told() {
    let place = Place::without_go();
    let output = place.look_for_programs().wait_with_output().unwrap();
    assert!(!output.status.success());
    let message = stderr(&output);
    for part in ["isn't on PATH", "KUBEBUILDER_ASSETS", "KUBECONFIG"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_go_that_is_too_old_is_refused() {
    let place = Place::with_go("go1.24.1", "0");
    let output = place.look_for_programs().wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("go1.24.1 is too old"),
        "{output:?}"
    );
}

/// Killed at the end of the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Place {
    fn without_go() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        for tool in ["sh", "cat", "sleep", "rm"] {
            let found = ["/bin", "/usr/bin"].map(|folder| PathBuf::from(folder).join(tool));
            let found = found.iter().find(|path| path.exists()).unwrap();
            std::os::unix::fs::symlink(found, dir.path().join("bin").join(tool)).unwrap();
        }
        Self { dir }
    }

    fn with_go(version: &str, pause: &str) -> Self {
        let place = Self::without_go();
        let go = place.dir.path().join("bin/go");
        let script = FAKE_GO.replace("VERSION", version).replace("PAUSE", pause);
        fs::write(&go, script).unwrap();
        fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
        place
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("countersign")
    }

    fn look_for_programs(&self) -> Child {
        Command::new(TESTBED)
            .arg("binaries")
            .env("XDG_CACHE_HOME", self.dir.path())
            .env("PATH", self.dir.path().join("bin"))
            .env_remove("KUBEBUILDER_ASSETS")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn eventually(what: &str, look: impl Fn() -> bool) {
    let started = Instant::now();
    while !look() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{what} doesn't come"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! Whether a node can run here at all, asked before anything is built or started.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a node needs on PATH besides its own programs, and the Debian package that has it.
const NEEDED: [(&str, &str); 6] = [
    ("runc", "runc"),
    ("unshare", "util-linux"),
    ("flock", "util-linux"),
    ("mount", "mount"),
    ("tar", "tar"),
    ("cc", "gcc"),
];

/// What keeps a node from running on this machine, in words for a person; `None` if nothing does.
///
/// A node needs root, control groups it may make, an overlay file system, namespaces, runc and a few
/// programs that every Debian has.
pub fn node_obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("a node needs root: containers, mounts and control groups".to_owned());
    }
    if let Some((program, package)) = NEEDED.iter().find(|(program, _)| !on_path(program)) {
        return Some(format!(
            "a node needs {program}, which isn't on PATH (Debian: apt-get install {package})"
        ));
    }
    let file_systems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !file_systems.lines().any(|line| line.ends_with("\toverlay")) {
        return Some("a node needs the kernel's overlay file system (modprobe overlay)".to_owned());
    }
    namespaces().or_else(control_groups)
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Tried for real: a container without the capability says yes to everything but this.
fn namespaces() -> Option<String> {
    let tried = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--mount-proc"])
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .stdin(Stdio::null())
        .output();
    let why = match tried {
        Ok(output) if output.status.success() => return None,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Some(format!(
        "a node needs namespaces of its own, and may not make them here: {why}"
    ))
}

fn control_groups() -> Option<String> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut found = own.lines().filter_map(hierarchy).peekable();
    if found.peek().is_none() {
        return Some("a node needs control groups, and none are at /sys/fs/cgroup".to_owned());
    }
    let name = format!("countersign-try-{}", std::process::id());
    found.find_map(|folder| {
        let tried = folder.join(&name);
        let made = fs::create_dir(&tried).and_then(|()| fs::remove_dir(&tried));
        let error = made.err()?;
        Some(format!(
            "a node needs control groups, and may make none in {}: {error}",
            folder.display()
        ))
    })
}

/// The folder of our own group in one hierarchy, by a line of `/proc/self/cgroup`
/// (`ID:CONTROLLERS:PATH`, cgroups(7)).
fn hierarchy(line: &str) -> Option<PathBuf> {
    let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
    let name = controllers.strip_prefix("name=").unwrap_or(controllers);
    let root = Path::new("/sys/fs/cgroup").join(name);
    let folder = root.join(path.trim_start_matches('/'));
    folder.join("cgroup.procs").is_file().then_some(folder)
}

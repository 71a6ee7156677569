//! Images without a builder and without a registry: an OCI layout (OCI image specification 1.1) in a
//! tar file, which `ctr images import` takes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What goes into an image of one layer, for this machine's architecture.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// As pods name it, with a tag: `countersign:dev`.
    pub name: String,
    /// Files of this machine and where they go. Of those that are linked dynamically, the loader and
    /// the libraries come along.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// Links: what they are called and what they point to.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Who runs it, as `UID:GID`; root where it is empty.
    pub user: String,
    /// The command, absolute.
    pub entrypoint: Vec<String>,
}

impl Image {
    /// Writes the image to a tar file. The same files make the same image.
    ///
    /// # Errors
    /// A file can't be read, or `tar` or `ldd` failed.
    pub fn write(&self, to: &Path) -> Result<()> {
        let work = tempfile::tempdir().context("make a scratch folder")?;
        let root = work.path().join("root");
        self.fill(&root)?;
        let layout = Layout::new(&work)?;
        let layer = work.path().join("layer.tar");
        tar(&root, &layer)?;
        let layer = layout.add(&layer)?;
        let config = self.config(&layer);
        let config = layout.add_json(&config, "application/vnd.oci.image.config.v1+json")?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
        });
        let mut manifest = layout.add_json(&manifest, MANIFEST)?;
        if let Some(fields) = manifest.as_object_mut() {
            // Without a platform the import takes the image for another machine's.
            fields.insert(
                "platform".into(),
                json!({"os": "linux", "architecture": architecture()}),
            );
            let name = full_name(&self.name);
            fields.insert(
                "annotations".into(),
                json!({"io.containerd.image.name": name}),
            );
        }
        layout.finish(&manifest, to)
    }

    fn config(&self, layer: &Value) -> Value {
        json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "User": self.user,
                "Entrypoint": self.entrypoint,
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
                "WorkingDir": "/",
            },
            // The layer isn't compressed: it never leaves the machine.
            "rootfs": {"type": "layers", "diff_ids": [layer.get("digest")]},
        })
    }

    fn fill(&self, root: &Path) -> Result<()> {
        for (folder, mode) in [("tmp", 0o1777), ("etc", 0o755), ("usr/local/bin", 0o755)] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).context("make a folder of the image")?;
            fs::set_permissions(&folder, Permissions::from_mode(mode))?;
        }
        let users = "root:x:0:0:root:/:/bin/sh\nnonroot:x:65532:65532:nonroot:/tmp:/bin/sh\n";
        fs::write(root.join("etc/passwd"), users)?;
        fs::write(root.join("etc/group"), "root:x:0:\nnonroot:x:65532:\n")?;
        fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\n")?;
        for (source, target) in &self.files {
            copy(source, &inside(root, target))?;
            for library in libraries(source)? {
                copy(&library, &inside(root, &library))?;
            }
        }
        for (name, target) in &self.links {
            let link = inside(root, name);
            if let Some(folder) = link.parent() {
                fs::create_dir_all(folder)?;
            }
            std::os::unix::fs::symlink(target, &link)
                .with_context(|| format!("link {}", name.display()))?;
        }
        Ok(())
    }
}

/// The folder that is an OCI layout.
#[derive(Debug)]
struct Layout {
    dir: PathBuf,
}

impl Layout {
    fn new(work: &TempDir) -> Result<Self> {
        let dir = work.path().join("layout");
        fs::create_dir_all(dir.join("blobs/sha256")).context("make the layout's folder")?;
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Self { dir })
    }

    /// Takes the layer; returns its descriptor.
    fn add(&self, layer: &Path) -> Result<Value> {
        let mut file = fs::File::open(layer).context("read the layer")?;
        let mut hash = Hash(Sha256::new());
        let size = std::io::copy(&mut file, &mut hash).context("read the layer")?;
        let digest = hex::encode(hash.0.finalize());
        fs::rename(layer, self.blob(&digest)).context("put the layer into the layout")?;
        let digest = format!("sha256:{digest}");
        Ok(json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size,
        }))
    }

    fn add_json(&self, document: &Value, media_type: &str) -> Result<Value> {
        let bytes = serde_json::to_vec(document)?;
        let digest = hex::encode(Sha256::digest(&bytes));
        fs::write(self.blob(&digest), &bytes).context("write a document of the layout")?;
        let digest = format!("sha256:{digest}");
        Ok(json!({"mediaType": media_type, "digest": digest, "size": bytes.len()}))
    }

    fn finish(&self, manifest: &Value, to: &Path) -> Result<()> {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [manifest],
        });
        fs::write(self.dir.join("index.json"), index.to_string()).context("write index.json")?;
        tar(&self.dir, to)
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.dir.join("blobs/sha256").join(digest)
    }
}

/// A digest that can be written to.
struct Hash(Sha256);

impl std::io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// As container runtimes complete a short name.
fn full_name(name: &str) -> String {
    match name.split_once('/') {
        None => format!("docker.io/library/{name}"),
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
    }
}

/// In the words of OCI, which are Go's.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn copy(source: &Path, target: &Path) -> Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(source, target)
        .map(|_| ())
        .with_context(|| format!("copy {} into the image", source.display()))
}

/// The loader and the libraries of a program, at the paths where it looks for them; none if it is
/// static or no program.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .context("run ldd")?;
    if !output.status.success() {
        return Ok(Vec::new()); // "not a dynamic executable"
    }
    let said = String::from_utf8_lossy(&output.stdout);
    if let Some(line) = said.lines().find(|line| line.contains("not found")) {
        bail!("{} lacks a library:{line}", program.display());
    }
    Ok(said.lines().filter_map(library).collect())
}

/// The path in a line of ldd's: `libc.so.6 => /lib/…/libc.so.6 (0x…)` or `/lib64/ld-linux… (0x…)`;
/// the kernel's own (`linux-vdso.so.1 (0x…)`) has none.
fn library(line: &str) -> Option<PathBuf> {
    let named = line.split_once("=>").map_or(line, |(_, path)| path);
    let path = named.split_whitespace().next()?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// All that could differ from one time to the next is left out.
fn tar(dir: &Path, to: &Path) -> Result<()> {
    let output = Command::new("tar")
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
        .args(["--mtime=@0", "--format=gnu", "-C"])
        .arg(dir)
        .arg("-cf")
        .arg(to)
        .arg(".")
        .stdin(Stdio::null())
        .output()
        .context("run tar")?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("tar failed: {}", why.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_a_runtime_does() {
        assert_eq!(
            full_name("countersign:dev"),
            "docker.io/library/countersign:dev"
        );
        assert_eq!(full_name("acme/agent:1"), "docker.io/acme/agent:1");
        assert_eq!(
            full_name("countersign.dev/pause:1"),
            "countersign.dev/pause:1"
        );
    }

    #[test]
    fn libraries_are_read_off_the_lines_of_ldd() {
        let path = |line| library(line).map(|path| path.display().to_string());
        assert_eq!(path("\tlinux-vdso.so.1 (0x00007ffd)"), None);
        assert_eq!(
            path("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)").as_deref(),
            Some("/lib/x86_64-linux-gnu/libc.so.6")
        );
        assert_eq!(
            path("\t/lib64/ld-linux-x86-64.so.2 (0x00007f)").as_deref(),
            Some("/lib64/ld-linux-x86-64.so.2")
        );
    }
}

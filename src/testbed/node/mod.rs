//! A node that runs pods, beside a control plane: kubelet, containerd, runc, and a scheduler.
//!
//! ```text
//!   unshare (mount and pid namespaces) ─▶ init.sh ─┬─▶ containerd ─▶ shim ─▶ runc ─▶ containers
//!                                                  └─▶ kubelet
//! ```
//!
//! Whatever ends `unshare` ends process 1 of the pid namespace, and the kernel ends with it all that is
//! in there, containers too; their mounts go with the mount namespace. Only empty control groups stay,
//! which are listed in `node/cgroups` and removed.
//!
//! Pods are on the machine's own network, since there is no other: an admission policy says so in their
//! place (`pods.rs`). Services get addresses in 127.0.0.0/8, which are the machine itself: a Service
//! whose `port` is its `targetPort` can be reached by its address without a proxy.

mod configuration;
mod image;
mod obstacle;
mod pods;
mod programs;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::json;

use crate::layout::Program;
use crate::ports::free_port;

pub use image::Image;
pub use obstacle::node_obstacle;
pub use programs::NodePrograms;

/// What the node is called. A name that leads to it: the API server asks the kubelet there for logs.
pub const NODE_NAME: &str = "localhost";

/// The folder of the node in the control plane's.
const FOLDER: &str = "node";

/// One node's folder, programs and arguments.
#[derive(Debug)]
pub(crate) struct Node {
    dir: PathBuf,
    plane: PathBuf,
    programs: NodePrograms,
    kubelet_port: u16,
    /// What its control groups are called, in whatever group the machine puts us.
    cgroup: String,
}

impl Node {
    /// Makes the node's folder in the control plane's, and writes all that a node needs but who it is.
    pub(crate) fn create(plane: &Path, programs: NodePrograms) -> Result<Self> {
        /// A socket's path has 107 bytes at most (unix(7)).
        const LONGEST: usize = 107 - "/containerd.sock.ttrpc".len();
        let dir = plane.join(FOLDER);
        if dir.as_os_str().len() > LONGEST {
            bail!("{} is too long a path for a node's sockets", dir.display());
        }
        let node = Self {
            dir,
            plane: plane.to_owned(),
            programs,
            kubelet_port: free_port()?,
            cgroup: format!(
                "countersign-node-{}",
                hex::encode(rand::random::<[u8; 4]>())
            ),
        };
        node.write_files().context("write the node's files")?;
        Ok(node)
    }

    pub(crate) fn programs(&self) -> &NodePrograms {
        &self.programs
    }

    /// containerd's.
    pub(crate) fn socket(&self) -> PathBuf {
        socket(&self.plane)
    }

    /// All of the node but the scheduler.
    pub(crate) fn program(&self, kubeconfig: &str) -> Program {
        let in_node = |name: &str| self.dir.join(name).display().to_string();
        let fixed = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
        let init = [
            "sh".to_owned(),
            in_node("init.sh"),
            self.dir.display().to_string(),
            self.programs.dir().display().to_string(),
            self.cgroup.clone(),
        ];
        let kubelet = [
            self.programs.program("kubelet").display().to_string(),
            format!("--config={}", in_node("kubelet.json")),
            format!("--kubeconfig={kubeconfig}"),
            format!("--root-dir={}", in_node("kubelet")),
            format!("--cert-dir={}", in_node("kubelet-certificates")),
            format!("--hostname-override={NODE_NAME}"),
        ];
        Program {
            name: "node",
            path: "unshare".into(),
            args: fixed
                .map(str::to_owned)
                .into_iter()
                .chain(init)
                .chain(kubelet)
                .collect(),
            log: self.plane.join("node.log"),
        }
    }

    pub(crate) fn scheduler(&self, kubeconfig: &str) -> Program {
        Program {
            name: "kube-scheduler",
            path: self.programs.program("kube-scheduler"),
            args: [
                &format!("--kubeconfig={kubeconfig}"),
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
                "--secure-port=0",
            ]
            .map(str::to_owned)
            .to_vec(),
            log: self.plane.join("kube-scheduler.log"),
        }
    }

    /// Makes an image known to containerd.
    pub(crate) async fn load_image(&self, file: &Path) -> Result<()> {
        let output = tokio::process::Command::new(self.programs.program("ctr"))
            .args(["--namespace", "k8s.io", "--address"])
            .arg(self.socket())
            .args(["images", "import"])
            .arg(file)
            .kill_on_drop(true)
            .output()
            .await
            .context("run ctr")?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("ctr images import: {}", why.trim());
        }
        Ok(())
    }

    fn write_files(&self) -> Result<()> {
        let places = configuration::Places {
            dir: &self.dir,
            programs: self.programs.dir(),
            plane: &self.plane,
            kubelet_port: self.kubelet_port,
        };
        fs::create_dir_all(self.dir.join("cni"))?;
        let write = |name: &str, content: &str| {
            fs::write(self.dir.join(name), content).with_context(|| format!("write {name}"))
        };
        write("init.sh", include_str!("init.sh"))?;
        write("containerd.toml", &configuration::containerd(&places))?;
        write("kubelet.json", &configuration::kubelet(&places).to_string())?;
        write(
            "cni/10-none.conflist",
            &configuration::network().to_string(),
        )?;
        write(
            "hosts",
            &fs::read_to_string("/etc/hosts").unwrap_or_default(),
        )?;
        let pause = Image {
            name: configuration::PAUSE_IMAGE.to_owned(),
            files: vec![(self.programs.program("pause"), "/pause".into())],
            entrypoint: vec!["/pause".to_owned()],
            ..Image::default()
        };
        pause.write(&self.dir.join("pause.tar"))
    }
}

/// containerd's socket, of a node of the control plane in that folder.
pub(crate) fn socket(plane: &Path) -> PathBuf {
    plane.join(FOLDER).join("containerd.sock")
}

/// Says in pods' place what they need on such a node.
pub(crate) async fn prepare_pods(client: kube::Client, api_port: u16) -> Result<()> {
    for object in pods::policy(api_port) {
        let object: DynamicObject = serde_json::from_value(object)?;
        let types = object.types.clone().context("an object without a kind")?;
        let gvk = kube::core::GroupVersionKind::try_from(&types)?;
        let resource = kube::core::ApiResource::from_gvk(&gvk);
        let name = object
            .metadata
            .name
            .clone()
            .context("an object without a name")?;
        Api::<DynamicObject>::all_with(client.clone(), &resource)
            .patch(
                &name,
                &PatchParams::apply("countersign-testbed").force(),
                &Patch::Apply(&object),
            )
            .await
            .with_context(|| format!("apply {name}"))?;
    }
    Ok(())
}

/// Has the node offer local storage: its kubelet doesn't measure any, and a pod that asks for some would
/// wait for ever. How much is of no weight, since nothing holds pods to it.
pub(crate) async fn offer_storage(client: kube::Client) -> Result<()> {
    let storage = json!({"ephemeral-storage": "1Ti"});
    let status = json!({"status": {"capacity": storage, "allocatable": storage}});
    Api::<core::Node>::all(client)
        .patch_status(NODE_NAME, &PatchParams::default(), &Patch::Merge(&status))
        .await
        .context("have the node offer storage")?;
    Ok(())
}

/// Whether the node takes pods: it is ready, and nothing keeps them from it.
pub(crate) async fn takes_pods(client: kube::Client) -> Result<()> {
    let node = Api::<core::Node>::all(client).get(NODE_NAME).await?;
    let conditions = node.status.and_then(|status| status.conditions);
    let ready = conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "Ready");
    match ready {
        Some(ready) if ready.status == "True" => {}
        Some(ready) => bail!(
            "the node isn't ready: {}",
            ready.message.as_deref().unwrap_or_default()
        ),
        None => bail!("the node hasn't said how it is"),
    }
    match node.spec.and_then(|spec| spec.taints) {
        Some(taints) if !taints.is_empty() => bail!("the node is tainted"),
        _ => Ok(()),
    }
}

/// After the programs of the control plane in `plane` were ended: waits until nothing of a node there
/// runs any more, and removes its control groups. Nothing where there was no node.
pub(crate) fn clean_up(plane: &Path) -> Result<()> {
    const DEADLINE: Duration = Duration::from_secs(10);
    let dir = plane.join(FOLDER);
    let started = Instant::now();
    if let Ok(alive) = fs::File::open(dir.join("alive")) {
        // Held by every process of the node: let go of by the kernel.
        while alive.try_lock().is_err() {
            if started.elapsed() > DEADLINE {
                bail!("the node in {} doesn't end", dir.display());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    for group in fs::read_to_string(dir.join("cgroups"))
        .unwrap_or_default()
        .lines()
    {
        remove_groups(Path::new(group), started + DEADLINE)?;
    }
    Ok(())
}

/// A group can be removed once the kernel has let go of its last process.
fn remove_groups(group: &Path, deadline: Instant) -> Result<()> {
    if !group.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(group).with_context(|| format!("read {}", group.display()))? {
        let entry = entry.with_context(|| format!("read {}", group.display()))?;
        if entry.file_type()?.is_dir() {
            remove_groups(&entry.path(), deadline)?;
        }
    }
    loop {
        match fs::remove_dir(group) {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("remove {}", group.display()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

//! What containerd, its network plugin and the kubelet are told.

use std::path::Path;

use serde_json::{Value, json};

/// The image that holds a pod's namespaces.
pub(super) const PAUSE_IMAGE: &str = "countersign.dev/pause:1";

/// Where the node's programs and files are, and what they listen on.
#[derive(Debug)]
pub(super) struct Places<'a> {
    /// The node's folder.
    pub(super) dir: &'a Path,
    /// The folder of the programs.
    pub(super) programs: &'a Path,
    /// The control plane's folder, which has `ca.crt` and the serving certificate.
    pub(super) plane: &'a Path,
    pub(super) kubelet_port: u16,
}

/// containerd's, version 3 of its format.
pub(super) fn containerd(places: &Places<'_>) -> String {
    let dir = places.dir.display();
    let programs = places.programs.display();
    // Without restrict_oom_score_adj, runc dies on a machine without CAP_SYS_RESOURCE.
    format!(
        r#"version = 3
root = "{dir}/containerd"
state = "{dir}/containerd-state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.differ.v1.erofs",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.nri.v1.nri",
]

[grpc]
address = "{dir}/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{dir}/opt"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{programs}"]
conf_dir = "{dir}/cni"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    )
}

/// A pod network that is none: the node counts as ready only if there is one, and its pods use the
/// machine's.
pub(super) fn network() -> Value {
    json!({"cniVersion": "1.0.0", "name": "none", "plugins": [{"type": "loopback"}]})
}

pub(super) fn kubelet(places: &Places<'_>) -> Value {
    let in_node = |name: &str| places.dir.join(name).display().to_string();
    let in_plane = |name: &str| places.plane.join(name).display().to_string();
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": places.kubelet_port,
        "healthzPort": 0,
        "tlsCertFile": in_plane("serving.crt"),
        "tlsPrivateKeyFile": in_plane("serving.key"),
        // Nobody but the API server has a certificate of this CA.
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": false},
            "x509": {"clientCAFile": in_plane("ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": format!("unix://{}", in_node("containerd.sock")),
        "podLogsDir": in_node("pod-logs"),
        "volumePluginDir": in_node("volume-plugins"),
        // The machine's control groups are taken as they are, of either version.
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        // A developer's disk is often fuller than a kubelet would have it, and images can't be pulled
        // again.
        "localStorageCapacityIsolation": false,
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "maxPods": 600,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
    })
}

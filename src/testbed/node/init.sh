# shellcheck shell=sh
# Process 1 of a node: in a mount and a pid namespace of its own, so that its mounts end with it and
# its containers too, whichever way it goes.
#
# $1: the node's folder; $2: where containerd is and what it starts; $3: what its control groups are called;
# then the kubelet's command.
set -eu
dir=$1 programs=$2 group_name=$3
shift 3

# The kernel lets go of this lock when the last process of the node is gone, one before us too.
exec 9>"$dir/alive"
flock 9
rm -f "$dir/containerd.sock" "$dir/cgroups"

# Folders that containerd and the kubelet name by themselves; another node's or the machine's own lie there.
for fixed in /run/containerd /var/lib/kubelet /var/log/containers; do
  mkdir -p "$fixed"
  mount -t tmpfs -o mode=0711 tmpfs "$fixed"
done
# What pods on the node's network find in their /etc/hosts.
mount --bind "$dir/hosts" /etc/hosts

# Containers get cgroups below those of who starts them: they must be known, to be removed at the end.
while IFS=: read -r _ controllers path; do
  [ -n "$controllers" ] || continue # version 2 has none
  root=/sys/fs/cgroup/${controllers#name=}
  [ -d "$root" ] || continue
  group=$root${path%/}/$group_name
  echo "$group" >>"$dir/cgroups"
  mkdir -p "$group"
  if [ "$controllers" = cpuset ]; then
    for of in cpus mems; do cat "$root${path%/}/cpuset.$of" >"$group/cpuset.$of"; done
  fi
  echo 0 >"$group/cgroup.procs"
done </proc/self/cgroup

PATH=$programs:$PATH
containerd --config "$dir/containerd.toml" >>"$dir/containerd.log" 2>&1 &
containerd=$!
until [ -S "$dir/containerd.sock" ]; do
  kill -0 "$containerd" 2>/dev/null || { echo "containerd ended:"; tail -n 15 "$dir/containerd.log"; exit 1; }
  sleep 0.05
done
ctr --address "$dir/containerd.sock" --namespace k8s.io images import "$dir/pause.tar"
"$@" >>"$dir/kubelet.log" 2>&1 &
kubelet=$!
# A shell that waits for a command reaps whatever else ended: without that, shims would stay as zombies.
while kill -0 "$containerd" 2>/dev/null && kill -0 "$kubelet" 2>/dev/null; do sleep 0.5; done
ended=containerd
kill -0 "$kubelet" 2>/dev/null || ended=kubelet
echo "$ended ended by itself:"
tail -n 14 "$dir/$ended.log"
exit 1

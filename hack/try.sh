#!/usr/bin/env bash
# Builds, starts a throwaway control plane (or takes the cluster of KUBECONFIG) and tells the story.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
need_rust
need openssl openssl
need python3 python3

say "Building countersign (two minutes the first time)…"
cargo build --workspace --locked --bin countersign --bin kubectl-countersign --bin countersign-testbed

testbed=target/debug/countersign-testbed
if [ -n "${KUBECONFIG:-}" ]; then
  say "KUBECONFIG is set: using that cluster."
  command -v kubectl >/dev/null || PATH="$("$testbed" binaries):$PATH"
  exec hack/story.sh
fi
"$testbed" binaries >/dev/null # built once, with progress
say "Starting a throwaway Kubernetes control plane…"
export THROWAWAY=1
exec "$testbed" run -- hack/story.sh

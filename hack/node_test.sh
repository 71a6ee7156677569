#!/usr/bin/env bash
# The tests that need a node with pods that run, and `make try NODE=1`. Root; kubelet, scheduler and containerd
# are built once, in about 6 minutes on 2 cores. They fail where no node can run, and say why.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
need_rust
want_node

say "== build"
cargo build --workspace --locked --bins
target/debug/countersign-testbed binaries >/dev/null
target/debug/countersign-testbed binaries --node >/dev/null

say "== tests that need a node"
# One after another: each has a node of its own.
cargo test --locked -p countersign-testbed --test testbed node:: -- --ignored --test-threads 1
PROGRAMS=$PWD/target/debug hack/try_node.sh

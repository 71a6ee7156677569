#!/usr/bin/env bash
# Release builds, then the benchmarks. ONLY=idle,burst selects by name; QUICK=1 takes less of each.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
need_rust

say "Building with optimisations (about 4 minutes the first time)…"
cargo build --release --locked --bin countersign
cargo build --release --locked -p countersign-bench

arguments=()
[ -z "${ONLY:-}" ] || arguments+=(--only "$ONLY")
[ -z "${QUICK:-}" ] || arguments+=(--quick)
exec target/release/countersign-bench "${arguments[@]}"

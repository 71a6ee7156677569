#!/usr/bin/env bash
# Release builds, then the benchmarks. ONLY=idle,burst selects by name; QUICK=1 takes less of each.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
need_rust

say "Building with optimisations (about 5 minutes the first time)…"
# One call for both: two would not agree on the features of what they share, and build it twice.
cargo build --release --locked --workspace --bin countersign --bin countersign-bench

# Other people's chain verifiers have a lock file of their own, and about 2 minutes of building.
case ",${ONLY:-chains}," in
  *,chains,*)
    cargo build --release --locked --manifest-path src/bench/peers/Cargo.toml --target-dir target/peers
    ;;
esac

arguments=()
[ -z "${ONLY:-}" ] || arguments+=(--only "$ONLY")
[ -z "${QUICK:-}" ] || arguments+=(--quick)
exec target/release/countersign-bench "${arguments[@]}"

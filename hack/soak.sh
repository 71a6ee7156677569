#!/usr/bin/env bash
# A mixed load for SOAK_SECONDS (3600), SOAK_RATE (150) requests a second: on a control plane, an
# operator, two decision points and an Envoy of its own, while identities, delegations, policies and
# signals come and go and the audit stores can't be written now and then. It tells every 30 s how far it
# is, and ends with a table. What must hold is in tests/it/decision/soak.rs; `make test` runs it for two
# minutes. An hour's records take about 1 GB of the temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
need_rust
need python3 python3

export SOAK_SECONDS="${SOAK_SECONDS:-3600}" SOAK_RATE="${SOAK_RATE:-150}"
say "== build"
cargo build --workspace --locked --bins
target/debug/countersign-testbed binaries >/dev/null
say "== soak, $SOAK_SECONDS s"
cargo test --locked --test it -- decision::soak --nocapture

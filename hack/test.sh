#!/usr/bin/env bash
# Everything that must hold: lint, then all tests, those on a real control plane too.
#
# The control plane is Go and is built once, in about 8 minutes on 2 cores. That goes on in the
# background from the first moment on, beside the Rust builds.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
need_rust
need openssl openssl
need python3 python3
want_postgres

say "== build"
cargo build --workspace --locked --bins
target/debug/countersign-testbed binaries >/dev/null &
binaries=$!
trap 'kill "$binaries" 2>/dev/null || true' EXIT

hack/lint.sh
cargo build --workspace --locked --all-targets

say "== control plane"
wait "$binaries" || die "there is no control plane to test on (see above)"
trap - EXIT

say "== tests"
cargo test --workspace --locked --no-fail-fast
hack/fuzz.sh

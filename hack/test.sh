#!/usr/bin/env bash
# Everything that must hold: lint, then all tests, those on a real control plane too.
#
# The control plane is Go and is built once, in about 8 minutes on 2 cores. That goes on in the
# background from the first moment on, beside the Rust builds; Helm and what else the charts are checked
# with come after it, whenever nobody else wants the cores.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
need_rust
need openssl openssl
need python3 python3
want_postgres

# What goes on in the background, with what it started.
end_jobs() {
  local job
  for job in $(jobs -p); do kill -- "-$job" 2>/dev/null || kill "$job" 2>/dev/null || true; done
}

# Where Go has a cache of this folder's own, as in CI: 2 GB that no second build will ask for.
drop_go_cache() { [ "${GOCACHE:-}" != "$PWD/target/go-build" ] || go clean -cache; }

say "== build"
cargo build --workspace --locked --bins
target/debug/countersign-testbed binaries >/dev/null &
binaries=$!
tools=
if command -v go >/dev/null; then
  set -m # a group of processes, which ends as one
  {
    while kill -0 "$binaries" 2>/dev/null; do sleep 1; done
    drop_go_cache
    exec nice -n 19 hack/charts.sh tools
  } &
  tools=$!
  set +m
fi
trap end_jobs EXIT

hack/lint.sh
cargo build --workspace --locked --all-targets

say "== control plane"
wait "$binaries" || die "there is no control plane to test on (see above)"

say "== tests"
cargo test --workspace --locked --no-fail-fast
say "NOTE: the tests that need a node with pods that run were LEFT OUT: make node-test runs them"

say "== charts"
if [ -n "$tools" ]; then
  wait "$tools" || die "Helm could not be built (see above)"
  drop_go_cache
  hack/charts.sh quick
else
  say "note: no Go here: the charts are not checked"
fi
hack/fuzz.sh

#!/usr/bin/env bash
# Format, clippy, documentation and dependencies: all as errors.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
need_rust

say "== cargo fmt"
cargo fmt --all -- --check
say "== cargo clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings
say "== rustdoc"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked
say "== cargo deny"
deny=$(cargo_deny)
"$deny" --log-level error --locked check licenses bans sources
# The advisory database is a Git repository that not every network lets through. Without it the
# rest still counts; with it, a known vulnerability fails the build.
advisories="$CACHE/advisories.log"
if "$deny" fetch db >"$advisories" 2>&1; then
  "$deny" --log-level error --locked check --disable-fetch advisories
else
  say "note: the advisory database can't be fetched (see $advisories); advisories were not checked"
fi

#!/usr/bin/env bash
# Fuzzes whatever reads bytes from outside, each target for FUZZ_SECONDS (10). ONLY=statement,audit
# selects by name. The first build takes 6 minutes of one core's time, so 3 on 2 idle cores; later ones
# only what changed. UPDATE=1 writes the seeds in fuzz/corpus anew.
#
# It is libFuzzer, driven by coverage, on the stable compiler of rust-toolchain.toml: the flags below
# are those that cargo-fuzz gives, but for the sanitizers, which need nightly and find nothing in
# code without `unsafe`.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
need_rust
need c++ g++

seconds="${FUZZ_SECONDS:-10}"
targets="${ONLY:-statement,keys,audit,authority,grants,authzen_body,set_token,jwt_svid}"
out=target/fuzz

# The lock file follows the program's: what is fuzzed is what is shipped.
relock="to take over the program's versions: cp Cargo.lock fuzz/Cargo.lock && (cd fuzz && cargo metadata --format-version 1 >/dev/null)"
(cd fuzz && cargo metadata --locked --format-version 1 >/dev/null) || die "fuzz/Cargo.lock is behind; $relock"
packages() { awk -F '"' '/^name = / { name = $2 } /^version = / { if (name != "") print name, $2; name = "" }' "$1" | sort; }
drifted=$(comm -13 <(packages Cargo.lock) <(packages fuzz/Cargo.lock) |
  awk 'NR == FNR { known[$1]; next } $1 in known' <(packages Cargo.lock) -)
[ -z "$drifted" ] || die "fuzz/Cargo.lock has other versions than Cargo.lock (${drifted//$'\n'/, }); $relock"

# Naming the system keeps build scripts and macros out of the coverage.
host=$(rustc -vV | sed -n 's/^host: //p')
coverage=(
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares
)
say "== build of the fuzz targets"
RUSTFLAGS="${coverage[*]}" cargo build --locked --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$out" --bins

# The seeds are what the code signs; further inputs beside them stay.
seeds="$out/seeds"
[ -z "${UPDATE:-}" ] || seeds=fuzz/corpus
[ "$seeds" = fuzz/corpus ] || rm -rf "$seeds"
"$out/$host/debug/seeds" "$seeds" 2>"$out/seeds.log" || die "there are no seeds: $(cat "$out/seeds.log")"
changed=$(diff -rq "$seeds" fuzz/corpus | grep -v '^Only in fuzz/corpus' || true)
[ -z "$changed" ] || die "the seeds in fuzz/corpus are not what the code signs; UPDATE=1 hack/fuzz.sh writes them: $changed"

failed=()
for target in ${targets//,/ }; do
  program="$out/$host/debug/$target"
  log="$out/$target.log"
  mkdir -p "$out/corpus/$target" "$out/artifacts/$target"
  say "== fuzz $target, $seconds s"
  # What it learns goes to the first folder; the seeds in git are only read.
  if "$program" "$out/corpus/$target" "fuzz/corpus/$target" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
    -artifact_prefix="$out/artifacts/$target/" -print_final_stats=1 >"$log" 2>&1; then
    awk '/^#[0-9]+.*DONE/ { done = $0 } /average_exec_per_sec/ { speed = $2 }
      END { sub(/ lim.*/, "", done); print "   " done ", " speed " a second" }' "$log" >&2
  else
    failed+=("$target")
    tail -n 60 "$log" >&2
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    say "error: $target failed (all of it in $log)"
    [ -z "$input" ] || say "again: $program $input"
  fi
done
[ "${#failed[@]}" = 0 ] || die "fuzzing found something in: ${failed[*]}"

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
# OPA is a Go program, at the version that its go.mod pins: built once.
case ",${ONLY:-decide}," in
  *,decide,*)
    command -v go >/dev/null || die "Go 1.26 or newer is missing (https://go.dev/dl): OPA is built with it"
    opa="$CACHE/opa-$(sed -n 's/.*open-policy-agent\/opa \(v[^ ]*\).*/\1/p' src/bench/opa/go.mod)"
    if [ ! -x "$opa/opa" ]; then
      say "Building OPA, once (2 minutes)…"
      mkdir -p "$opa"
      CGO_ENABLED=0 GOFLAGS='' GOWORK=off go build -C src/bench/opa -mod=readonly -trimpath -ldflags '-s -w' \
        -o "$opa/.opa" github.com/open-policy-agent/opa
      mv "$opa/.opa" "$opa/opa"
    fi
    arguments+=(--opa "$opa/opa")
    ;;
esac

# SPIRE's server likewise, at the version that its go.mod pins.
case ",${ONLY:-issue}," in
  *,issue,*)
    command -v go >/dev/null || die "Go 1.26 or newer is missing (https://go.dev/dl): SPIRE is built with it"
    command -v taskset >/dev/null || die "taskset is missing (Debian: util-linux): the issuing endpoint is measured on one core"
    spire="$CACHE/spire-$(sed -n 's/.*spiffe\/spire \(v[^ ]*\).*/\1/p' src/bench/spire/go.mod)"
    if [ ! -x "$spire/spire-server" ]; then
      say "Building SPIRE's server, once (5 minutes)…"
      mkdir -p "$spire"
      GOFLAGS='' GOWORK=off go build -C src/bench/spire -mod=readonly -trimpath -ldflags '-s -w' \
        -o "$spire/.spire-server" github.com/spiffe/spire/cmd/spire-server
      mv "$spire/.spire-server" "$spire/spire-server"
    fi
    arguments+=(--spire "$spire/spire-server")
    ;;
esac

[ -z "${ONLY:-}" ] || arguments+=(--only "$ONLY")
[ -z "${QUICK:-}" ] || arguments+=(--quick)
exec target/release/countersign-bench "${arguments[@]}"

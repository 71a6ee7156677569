#!/usr/bin/env bash
# Makes images for a node of ours, without a builder and without a registry: OCI layouts in tar files that
# `ctr -n k8s.io images import` takes. Pods name them with imagePullPolicy: Never.
#
#   target/image/countersign.tar   countersign:dev   countersign and kubectl-countersign
#   target/image/shell.tar         shell:dev         busybox and openssl, for looking and trying
#   target/image/envoy.tar         envoy:dev         with WITH_ENVOY=1: a real Envoy
#
# PROGRAMS names a folder that has our programs, built; otherwise a debug build is made and taken. TAG=dev.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
need tar tar
need strip binutils
need openssl openssl
need busybox busybox-static

if [ -z "${PROGRAMS:-}" ]; then
  need_rust
  cargo build --workspace --locked --bins
  PROGRAMS=target/debug
fi
tag=${TAG:-dev}
target=target/image
mkdir -p "$target"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# image NAME ARGUMENTS…
image() {
  local name=$1
  shift
  "$PROGRAMS/countersign-testbed" image --name "$name:$tag" "$@" "$target/$name.tar"
  say "$name:$tag is in $target/$name.tar ($(du -h "$target/$name.tar" | cut -f1))"
}

files=()
for program in countersign kubectl-countersign; do
  strip -o "$work/$program" "$PROGRAMS/$program" # a debug build's symbols are most of it
  files+=(--file "$work/$program:/usr/local/bin/$program")
done
# For those whom it calls by https: identity providers, signers, peers.
roots=/etc/ssl/certs/ca-certificates.crt
[ ! -f "$roots" ] || files+=(--file "$roots:$roots")
image countersign "${files[@]}" --entrypoint /usr/local/bin/countersign

files=(--file "$(command -v busybox):/bin/busybox" --file "$(command -v openssl):/usr/bin/openssl")
for name in $(busybox --list); do
  case "$name" in busybox | openssl) ;; *) files+=(--link "/bin/$name:busybox") ;; esac
done
image shell "${files[@]}" --file hack/try_node/ask:/usr/local/bin/ask

if [ -n "${WITH_ENVOY:-}" ]; then
  envoy=$("$PROGRAMS/countersign-testbed" envoy) # downloaded once
  image envoy --file "$envoy:/usr/local/bin/envoy"
fi

# shellcheck shell=bash
# Sourced by the other scripts: what they all need, looked for and, where that is possible, installed.

# Folders where installers put these programs without always telling PATH.
for folder in "$HOME/.cargo/bin" /usr/local/go/bin; do
  case ":$PATH:" in
    *":$folder:"*) ;;
    *) PATH="$PATH:$folder" ;;
  esac
done
export PATH

CARGO_DENY_VERSION=0.20.2
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/countersign"

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# need PROGRAM DEBIAN-PACKAGE: installs the package where the program is missing and we may.
need() {
  command -v "$1" >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Installing $2 ($1 is missing)…"
    apt-get update -qq </dev/null >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2" </dev/null >&2
  else
    die "$1 is missing: install it (Debian: apt-get install $2)"
  fi
}

# A PostgreSQL server for the tests of the audit log; those are skipped, loudly, where there is none.
want_postgres() {
  command -v initdb >/dev/null && return
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Installing postgresql…"
    apt-get update -qq </dev/null >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql </dev/null >&2 && return
  fi
  say "note: no PostgreSQL server here: the tests that need one are skipped (Debian: apt-get install postgresql)"
}

# What a node needs that isn't built: containers' own program, and a C compiler for the one that holds pods.
want_node() {
  need runc runc
  need cc gcc
  command -v go >/dev/null || say "note: Go 1.26 or newer isn't here (https://go.dev/dl): the node's programs can't be built"
}

# Rust by rustup, at the version that rust-toolchain.toml pins; a C compiler for aws-lc.
need_rust() {
  command -v cargo >/dev/null || die "cargo is missing: install rustup (https://rustup.rs); it brings the version that rust-toolchain.toml names"
  need cc gcc
  if command -v rustup >/dev/null; then
    rustup show active-toolchain >/dev/null 2>&1 || {
      say "Installing the Rust toolchain of rust-toolchain.toml…"
      rustup toolchain install >&2
    }
  fi
}

# The folder of cargo-deny, which is built once (about 160 s on 2 cores).
cargo_deny() {
  local root="$CACHE/cargo-deny-$CARGO_DENY_VERSION"
  if [ ! -x "$root/bin/cargo-deny" ]; then
    say "Building cargo-deny $CARGO_DENY_VERSION, once (2–3 minutes)…"
    cargo install --locked --root "$root" "cargo-deny@$CARGO_DENY_VERSION" >&2
  fi
  printf '%s\n' "$root/bin/cargo-deny"
}

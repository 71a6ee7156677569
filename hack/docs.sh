#!/usr/bin/env bash
# Builds the documentation as a site: target/docs. The pages in docs/ are the same without it.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
need_rust

MDBOOK_VERSION=0.5.4

# Built once (about 160 s on 2 cores), without what serves and watches.
mdbook() {
  local root="$CACHE/mdbook-$MDBOOK_VERSION"
  if [ ! -x "$root/bin/mdbook" ]; then
    say "Building mdBook $MDBOOK_VERSION, once (2–5 minutes)…"
    cargo install --locked --no-default-features --features search --root "$root" "mdbook@$MDBOOK_VERSION" >&2
  fi
  "$root/bin/mdbook" "$@"
}

site=target/docs
rm -rf "$site"
mkdir -p "$site"
mdbook build docs --dest-dir "$PWD/$site/book"
rm -f "$site/book/book.toml"

# What pages link to outside of docs/ goes beside the book, so that the links lead there too.
grep -rhoE '\]\((\.\./)+[^)#]+' docs --include='*.md' | sed -E 's/^\]\((\.\.\/)+//' | sort -u |
  while read -r path; do
    [ -e "$path" ] || continue # tests/docs tells of dead links
    mkdir -p "$site/$(dirname "$path")"
    cp -r "$path" "$site/$(dirname "$path")/"
  done

cat >"$site/index.html" <<'HTML'
<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=book/introduction.html">
<title>Countersign</title>
<a href="book/introduction.html">Countersign</a>
HTML
say "The site is in $site: open $site/index.html"

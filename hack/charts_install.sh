#!/usr/bin/env bash
# Runs the first block of docs/install.md as it stands, on the throwaway control plane of KUBECONFIG; hack/charts.sh
# calls it. Left out is what wants a builder, a registry or a node: podman, `helm test`, and waiting for pods.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$HELM" "$work/helm"

awk '/^```sh$/ {inside = 1; next} /^```$/ && inside {exit} inside' docs/install.md >"$work/page.sh"
sed -e '/^podman /d' -e '/^helm test /d' -e 's/ --wait//' "$work/page.sh" >"$work/block.sh"
[ "$(grep -c '^helm install ' "$work/block.sh")" = 2 ] || die "docs/install.md begins with another block: $(cat "$work/page.sh")"
PATH=$work:$PATH bash -euo pipefail -x "$work/block.sh" >"$work/log" 2>&1 || die "docs/install.md doesn't work: $(tail -n 20 "$work/log")"

# Pod Security lets the pod in, by the image that the page pushed, and the operator may write where it says.
for _ in $(seq 100); do
  pod=$(kubectl get pod countersign-operator-0 -n countersign-system -o jsonpath='{.spec.containers[0].image}' 2>/dev/null || true)
  [ -z "$pod" ] || break
  sleep 0.3
done
[ "$pod" = images.example.org/countersign:0.1.0 ] || die "the operator's pod has the image «$pod»"
grep -qF "podman push $pod" "$work/page.sh" || die "docs/install.md pushes another image than $pod"
[ "$(kubectl auth can-i create secrets -n finance --as=system:serviceaccount:countersign-system:countersign)" = yes ] ||
  die "the operator may write no Secrets in finance"
kubectl get trustdomain/example.org agentowner/alice >/dev/null
say "docs/install.md: its first block installs."

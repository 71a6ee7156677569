#!/usr/bin/env bash
# Installs the charts on a node with pods that run, as a user would: the operator, an issuing endpoint and a
# decision point as pods, `helm test`, and a Job whose pod talks mTLS to another agent's pod, through a real Envoy
# that asks the decision point, for as long as the Job runs.
#
# Needs root (see `make cluster NODE=1`). PROGRAMS names a folder that has our programs, built.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh

system=countersign-system

# On the machine: what is needed, then this again beside the node.
outside() {
  want_node
  if [ -z "${PROGRAMS:-}" ]; then
    need_rust
    cargo build --workspace --locked --bins
    export PROGRAMS=$PWD/target/debug
  fi
  HELM=$(hack/charts.sh helm)
  export HELM
  WITH_ENVOY=1 hack/image.sh
  "$PROGRAMS/countersign-testbed" binaries >/dev/null
  "$PROGRAMS/countersign-testbed" binaries --node >/dev/null
  say "Starting a throwaway cluster with a node…"
  exec "$PROGRAMS/countersign-testbed" run --node -- env IN_NODE=1 "$0"
}

main() {
  work=$(dirname "$KUBECONFIG")
  export HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm
  trap 'at_the_end $?' EXIT
  images
  installs
  decides
  tested
  agents_talk
  by_the_kubelet
  show kubectl get pods,agid,deleg -A
  the_job_is_done
  say "It works ($SECONDS s)."
}

# show COMMAND…: says what it runs.
show() {
  say "\$ $*"
  "$@"
}

helm() { "$HELM" "$@"; }

at_the_end() {
  [ "$1" = 0 ] || what_went_wrong
  exit "$1"
}

what_went_wrong() {
  kubectl get pods -A -o wide >&2 || true
  kubectl get events -A --sort-by=.lastTimestamp 2>/dev/null | tail -n 15 >&2 || true
  local namespace pod
  for namespace in "$system" gateway finance; do
    for pod in $(kubectl get pods -n "$namespace" -o name 2>/dev/null); do
      say "-- $pod"
      kubectl logs -n "$namespace" "$pod" --all-containers --tail=10 >&2 || true
    done
  done
}

images() {
  say "== images"
  local name
  for name in countersign shell envoy; do ctr -n k8s.io images import "target/image/$name.tar" >/dev/null 2>&1; done
  show ctr -n k8s.io images ls -q 'name~=:dev$' 2>/dev/null
}

# volume NAMESPACE CLAIM: what a cluster's provisioner would make, for the user of our pods.
volume() {
  local folder=$work/volumes/$2
  mkdir -p "$folder"
  chown 65532:65532 "$folder"
  kubectl apply -f - >/dev/null <<EOF
apiVersion: v1
kind: PersistentVolume
metadata: {name: $2}
spec:
  capacity: {storage: 8Gi}
  accessModes: [ReadWriteOnce]
  claimRef: {namespace: $1, name: $2}
  hostPath: {path: $folder, type: Directory}
EOF
}

installs() {
  say "== the charts"
  local component
  for component in operator issue decide; do volume "$system" "audit-countersign-$component-0"; done
  kubectl apply -f examples/30-namespace.yaml >/dev/null
  kubectl create namespace gateway >/dev/null
  show helm install countersign-crds charts/countersign-crds -n "$system" --create-namespace --wait | grep STATUS
  show helm install countersign charts/countersign -n "$system" "${values[@]}" --set decide.enabled=false --wait --timeout 120s |
    grep STATUS
  show kubectl get pods -n "$system"
  # Names of Services are resolved by nobody here: pods find this one in their /etc/hosts.
  local address
  address=$(kubectl get service countersign-issue -n "$system" -o jsonpath='{.spec.clusterIP}')
  echo "$address countersign-issue.$system.svc" >>"$work/node/hosts"
  show kubectl apply -f examples/10-trust-domain.yaml -f examples/20-owner.yaml -f examples/35-alice.yaml -f examples/70-policies.yaml
  show kubectl wait td/example.org --for=condition=Ready --timeout=30s
  kubectl label namespace finance gateway trust-domain=example.org countersign.dev/inject=example.org --overwrite >/dev/null
}

decides() {
  say "== the decision point, by an upgrade"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=decide \
    -addext "subjectAltName=DNS:countersign-decide.$system.svc,DNS:localhost" \
    -keyout "$work/decide.key" -out "$work/decide.crt" 2>/dev/null
  kubectl create secret tls countersign-decide-tls -n "$system" --key="$work/decide.key" --cert="$work/decide.crt" >/dev/null
  show helm upgrade countersign charts/countersign -n "$system" "${values[@]}" --wait --timeout 120s | grep STATUS
}

tested() {
  say "== helm test"
  show helm test countersign -n "$system" --logs >"$work/test.log"
  sed -n '/^POD LOGS/,$p' "$work/test.log"
}

agents_talk() {
  say "== two agents, a Job each: the reader asks the ledger"
  kubectl create configmap envoy -n gateway --from-file=hack/try_node/envoy.yaml --from-file="$work/decide.crt" >/dev/null
  show kubectl apply -f hack/try_node/ledger.yaml
  show kubectl wait pod -n gateway -l job-name=ledger --for=condition=Ready --timeout=60s
  show kubectl apply --as=alice@example.com -f hack/try_node/reader.yaml
  show kubectl wait pod -n finance -l job-name=reconcile-2026-11 --for=condition=Ready --timeout=60s
  eventually 20 answered
  show kubectl logs -n finance job/reconcile-2026-11 -c agent
  kubectl wait delegation/alice-to-reader -n finance --for=condition=Ready --timeout=30s >/dev/null
  say "From the sidecar's start to the reader's certificate: $(sidecar_took) ms"
  [ -z "$(kubectl get secrets -n finance -o name)" ] || die "there is a Secret in finance, and nobody wanted one"
  say "No Secret was made: the pods have their keys, and nobody else."
}

# By the times in its log.
sidecar_took() {
  local log from to
  log=$(kubectl logs -n finance job/reconcile-2026-11 -c countersign-agent)
  from=$(sed -n 's/^{"timestamp":"\([^"]*\)".*"message":"starting to keep a certificate".*/\1/p' <<<"$log" | head -n 1)
  to=$(sed -n 's/^{"timestamp":"\([^"]*\)".*"message":"a certificate".*/\1/p' <<<"$log" | head -n 1)
  echo $(($(date -d "$to" +%s%3N) - $(date -d "$from" +%s%3N)))
}

by_the_kubelet() {
  say "== an agent without a sidecar: the kubelet asks for its certificate"
  show kubectl apply --as=alice@example.com -f hack/try_node/nightly.yaml
  show kubectl wait job/nightly -n finance --for=condition=Complete --timeout=60s
  show kubectl logs -n finance job/nightly -c agent
  kubectl logs -n finance job/nightly -c agent | grep -q '^invoice 7' || die "it had no answer"
  show kubectl get podcertificaterequests -n finance
}

answered() { kubectl logs -n finance job/reconcile-2026-11 -c agent | grep -q '^invoice 7'; }

the_job_is_done() {
  say "== the Job is done"
  local pod
  pod=$(kubectl get pod -n finance -l job-name=reconcile-2026-11 -o name)
  # Somebody kept a copy of what the pod had in its memory: it hasn't expired yet.
  mkdir "$work/copy"
  local file
  for file in tls.crt tls.key ca.crt; do kubectl exec -n finance "$pod" -c agent -- cat "/run/countersign/files/$file" >"$work/copy/$file"; done
  copy_is_taken "200 OK" || die "the copy should be good as long as the Job runs: $(cat "$work/answer")"
  kubectl exec -n finance "$pod" -c agent -- touch /tmp/stop
  show kubectl wait agid/invoice-reader -n finance --for=condition=Completed --timeout=60s
  eventually 5 copy_is_taken "403 Forbidden"
  show cat "$work/answer"
  say ""
  openssl x509 -in "$work/copy/tls.crt" -noout -enddate >&2
  show kubectl get pods,jobs,agid -n finance
}

copy_is_taken() {
  hack/try_node/ask "$work/copy" >"$work/answer" 2>"$work/asked.log" || true
  head -n 1 "$work/answer" | grep -qF "$1"
}

# eventually SECONDS COMMAND…: until it succeeds.
eventually() {
  local limit=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$limit" ] || die "never came true: $*"
    sleep 0.3
  done
}

values=(-f charts/countersign/ci/node-values.yaml --set issue.enabled=true --set issue.replicas=1 --set issue.podCertificates=true --set inject.enabled=true)
# The bed tells pods itself where the API server is.
values+=(--set extraEnv=null)
if [ -z "${IN_NODE:-}" ]; then outside; else main; fi

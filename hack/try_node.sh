#!/usr/bin/env bash
# Installs the charts on a node with pods that run, as a user would, and shows what is there: the operator and
# a decision point as pods, `helm test`, and a Job whose pod holds a certificate for as long as it runs.
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
  hack/image.sh
  "$PROGRAMS/countersign-testbed" binaries >/dev/null
  "$PROGRAMS/countersign-testbed" binaries --node >/dev/null
  say "Starting a throwaway cluster with a node…"
  exec "$PROGRAMS/countersign-testbed" run --node -- env IN_NODE=1 "$0"
}

main() {
  work=$(dirname "$KUBECONFIG")
  export HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm
  trap 'status=$?; [ "$status" = 0 ] || what_went_wrong; exit "$status"' EXIT
  images
  installs
  decides
  tested
  a_job_holds_a_certificate
  say "== all pods"
  show kubectl get pods,agentidentities -A
  say "It works ($SECONDS s)."
}

# show COMMAND…: says what it runs.
show() {
  say "\$ $*"
  "$@"
}

helm() { "$HELM" "$@"; }

what_went_wrong() {
  kubectl get pods -A -o wide >&2 || true
  kubectl get events -A --sort-by=.lastTimestamp 2>/dev/null | tail -n 15 >&2 || true
  local pod
  for pod in $(kubectl get pods -n "$system" -o name 2>/dev/null); do
    say "-- $pod"
    kubectl logs -n "$system" "$pod" --all-containers --tail=15 >&2 || true
  done
}

images() {
  say "== images"
  local name
  for name in countersign shell; do ctr -n k8s.io images import "target/image/$name.tar" >/dev/null 2>&1; done
  show ctr -n k8s.io images ls name~=dev -q
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
  volume "$system" audit-countersign-operator-0
  volume "$system" audit-countersign-decide-0
  kubectl apply -f examples/30-namespace.yaml >/dev/null
  kubectl create namespace gateway >/dev/null
  show helm install countersign-crds charts/countersign-crds -n "$system" --create-namespace --wait | grep STATUS
  show helm install countersign charts/countersign -n "$system" -f charts/countersign/ci/node-values.yaml "${values[@]}" \
    --set decide.enabled=false --wait --timeout 120s | grep STATUS
  show kubectl get pods -n "$system"
  show kubectl apply -f examples/10-trust-domain.yaml -f examples/20-owner.yaml
  show kubectl wait td/example.org --for=condition=Ready --timeout=30s
}

decides() {
  say "== the decision point, by an upgrade"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=decide \
    -addext "subjectAltName=DNS:countersign-decide.$system.svc,DNS:localhost" \
    -keyout "$work/decide.key" -out "$work/decide.crt" 2>/dev/null
  kubectl create secret tls countersign-decide-tls -n "$system" --key="$work/decide.key" --cert="$work/decide.crt" >/dev/null
  show helm upgrade countersign charts/countersign -n "$system" -f charts/countersign/ci/node-values.yaml "${values[@]}" \
    --wait --timeout 120s | grep STATUS
}

tested() {
  say "== helm test"
  show helm test countersign -n "$system" --logs >"$work/test.log"
  sed -n '/^POD LOGS/,$p' "$work/test.log"
}

a_job_holds_a_certificate() {
  say "== a Job whose pod holds a certificate while it runs"
  kubectl create rolebinding alice -n finance --clusterrole=edit --user=alice@example.com >/dev/null
  show kubectl apply --as=alice@example.com -f examples/41-invoice-reader.yaml
  kubectl apply --as=alice@example.com -f - <<EOF
apiVersion: batch/v1
kind: Job
metadata: {name: reconcile-2026-11, namespace: finance}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      containers:
        - name: agent
          image: shell:dev
          imagePullPolicy: Never
          command: [sh, -c, "openssl x509 -in /var/run/identity/tls.crt -noout -subject -ext subjectAltName -enddate; sleep 2"]
          volumeMounts:
            - {name: identity, mountPath: /var/run/identity, readOnly: true}
      volumes:
        - name: identity
          secret: {secretName: invoice-reader-identity} # the pod waits until it is there
EOF
  show kubectl wait job/reconcile-2026-11 -n finance --for=condition=Complete --timeout=120s
  show kubectl logs -n finance job/reconcile-2026-11
  show kubectl wait agentidentity/invoice-reader -n finance --for=condition=Completed --timeout=30s
  show kubectl get agentidentity/invoice-reader -n finance
  [ -z "$(kubectl get secret invoice-reader-identity -n finance --ignore-not-found -o name)" ] ||
    die "the Job is over, and its Secret is still there"
}

# The bed tells pods itself where the API server is.
values=(--set extraEnv=null)
if [ -z "${IN_NODE:-}" ]; then outside; else main; fi

#!/usr/bin/env bash
# Installs the charts into the throwaway control plane of KUBECONFIG, as hack/charts.sh calls it. No node is
# there to run pods: the programs run here, with the arguments and the rights that the charts give them.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh
# shellcheck source=hack/charts_gitops.sh
. hack/charts_gitops.sh
# shellcheck source=hack/charts_inject.sh
. hack/charts_inject.sh

system=countersign-system
work=$(mktemp -d)
background=()
lists= # where the operator serves revocation lists
ports=() # of the decision point's replicas
programs=${PROGRAMS:-target/debug}

cleanup() {
  local status=$?
  [ "${#background[@]}" = 0 ] || kill "${background[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  if [ "$status" != 0 ]; then tail -n 15 "$work"/{operator,decide,decide-1,issue,agent}.log 2>/dev/null | cut -c1-300 >&2 || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

helm() { "$HELM" "$@"; }

# eventually SECONDS COMMAND…: until it succeeds.
eventually() {
  local limit=$((SECONDS + $1))
  shift
  until "$@" >"$work/eventually.log" 2>&1; do
    [ "$SECONDS" -lt "$limit" ] || die "never came true: $* ($(tail -n 5 "$work/eventually.log"))"
    sleep 0.3
  done
}

# quietly COMMAND…: it succeeds, without a warning of the API server's. (client-go logs the end of a watch as one.)
quietly() {
  "$@" >"$work/quietly.log" 2>&1 || die "$*: $(tail -n 20 "$work/quietly.log")"
  ! grep -v '^[IWE][0-9]\{4\} ' "$work/quietly.log" | grep -i warning >&2 || die "$*: warned"
}

main() {
  # What has to meet a standard is refused where it doesn't, and told.
  kubectl create namespace "$system" >/dev/null
  kubectl label namespace "$system" pod-security.kubernetes.io/{enforce,warn}=restricted >/dev/null
  for name in finance research gateway; do kubectl create namespace "$name" >/dev/null; done
  kinds_install
  everything_is_taken
  conform
  operator_installs
  rights_are_as_meant
  injects
  programs_run
  metrics_are_read
  sidecar_runs
  gitops
  no_right_is_missing
  upgrades
  uninstall
  kustomize
}

kinds_install() {
  quietly helm install countersign-crds charts/countersign-crds -n "$system"
  quietly kubectl wait --for=condition=Established crd -l app.kubernetes.io/part-of=countersign --timeout=30s
  eventually 20 kubectl get trustdomains,agentowners,taskkinds,agentidentities,delegations,agentpolicies,clusteragentpolicies -A
  # Where crds/ is applied over it, nothing changes and nobody is in conflict.
  quietly kubectl diff --server-side -f crds/
}

everything_is_taken() {
  local kind set
  for kind in servicemonitors podmonitors prometheusrules; do
    quietly kubectl apply --server-side -f "$PROMETHEUS_CRDS/monitoring.coreos.com_$kind.yaml"
    quietly kubectl wait --for=condition=Established "crd/$kind.monitoring.coreos.com" --timeout=30s
  done
  eventually 20 kubectl get servicemonitors,podmonitors,prometheusrules -A
  # A dry run makes no account, which the pod of the test must have.
  quietly kubectl create serviceaccount countersign-test -n "$system"
  quietly kubectl create serviceaccount identities-test -n "$system"
  for set in default rights postgresql everything all-secrets; do
    quietly kubectl apply --server-side --dry-run=server --validate=strict -f "$RENDERED/$set.yaml"
  done
  quietly kubectl delete serviceaccount countersign-test identities-test -n "$system"
  # On the node's network nothing is `restricted`, which is told; the pods would be refused here.
  helm template countersign charts/countersign -n "$system" -f charts/countersign/ci/node-values.yaml --kube-version 1.37.0 --no-hooks >"$work/node.yaml"
  kubectl apply --server-side --dry-run=server --validate=strict -f "$work/node.yaml" >"$work/node.log" 2>&1 ||
    die "the API server refuses it: $(cat "$work/node.log")"
  grep -q 'would violate PodSecurity "restricted.*host namespaces (hostNetwork=true)' "$work/node.log" || die "no warning: $(cat "$work/node.log")"
}

# By kubeconform, whose schemas are those of this API server.
conform() {
  need python3 python3
  local files=("$RENDERED"/{countersign-crds,default,rights,postgresql,everything,all-secrets,node}.yaml deploy/kustomize/crds/crds.yaml deploy/kustomize/operator/operator.yaml examples/[1-7]*.yaml examples/rbac/*.yaml)
  eventually 20 conforms "${files[@]}" # kinds come into OpenAPI some time after they are served
  sed 's/podManagementPolicy:/podManagmentPolicy:/' "$RENDERED/default.yaml" >"$work/typo.yaml"
  ! kubeconform "$work/typo.yaml" >/dev/null || die "kubeconform lets a typo through"
}

conforms() { hack/charts_schemas.py "$work/schemas" "$@" && kubeconform "$@"; }

kubeconform() {
  "$KUBECONFORM" -strict -schema-location "$work/schemas/{{ .ResourceKind }}-{{ .Group }}-{{ .ResourceAPIVersion }}.json" \
    -schema-location "$work/schemas/{{ .ResourceKind }}-{{ .ResourceAPIVersion }}.json" "$@"
}

operator_installs() {
  # The TLS of the decision point, and tokens: where the chart mounts them, and here for the programs.
  mkdir -p "$work"/etc/{tls,callers,tokens,peer,peer-ca,transmitters,falco,metrics}
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=decide \
    -addext "subjectAltName=DNS:countersign-decide.$system.svc,DNS:localhost" -addext basicConstraints=critical,CA:FALSE \
    -keyout "$work/etc/tls/tls.key" -out "$work/etc/tls/tls.crt" 2>/dev/null
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=metrics \
    -addext "subjectAltName=DNS:countersign-metrics.$system.svc" \
    -keyout "$work/etc/metrics/tls.key" -out "$work/etc/metrics/tls.crt" 2>/dev/null
  cp "$work/etc/tls/tls.crt" "$work/etc/callers/ca.crt"
  cp "$work/etc/tls/tls.crt" "$work/etc/peer-ca/ca.crt"
  local token
  for token in tokens/kubectl tokens/ledger peer/token transmitters/0 transmitters/1 falco/token; do
    openssl rand -hex 32 >"$work/etc/$token"
  done
  helm install countersign charts/countersign -n "$system" -f charts/countersign/ci/everything-values.yaml >"$work/notes.log"
  grep -q 'helm test countersign' "$work/notes.log" || die "the notes don't say what to do next"
  # The real controllers make the pods, and Pod Security lets them in.
  local pod
  for pod in countersign-operator-0 countersign-decide-{0,1} countersign-issue-{0,1,2}; do
    eventually 30 kubectl get pod "$pod" -n "$system"
  done
  quietly kubectl get pvc audit-countersign-operator-0 audit-countersign-decide-1 audit-countersign-issue-2 -n "$system"
}

# can YES-OR-NO WHO ARGUMENTS…
can() {
  local expected=$1 who=$2 said
  shift 2
  said=$(kubectl auth can-i "$@" --as="$who" 2>/dev/null || true)
  [ "$said" = "$expected" ] || die "$who may $*: $said, and it should be $expected"
}

# signs TRUE-OR-FALSE WHO SIGNER: kubectl can't ask of what isn't served.
signs() {
  local said
  said=$(kubectl create -o jsonpath='{.status.allowed}' -f - <<EOF
apiVersion: authorization.k8s.io/v1
kind: SubjectAccessReview
spec:
  user: $2
  resourceAttributes: {group: certificates.k8s.io, resource: signers, name: $3, verb: sign}
EOF
  )
  [ "$said" = "$1" ] || die "$2 may sign for $3: $said, and it should be $1"
}

may() { [ "$(kubectl auth can-i "$@" 2>/dev/null)" = yes ]; }

rights_are_as_meant() {
  local role
  for role in view edit admin; do
    kubectl create rolebinding "$role" -n finance --clusterrole="$role" --user="$role" >/dev/null
  done
  eventually 20 may create agentpolicies.countersign.dev -n finance --as=admin # roles are aggregated in the background
  eventually 20 may get delegations.countersign.dev -n finance --as=view
  local all=countersign.dev
  can yes view list "agentidentities.$all" -n finance
  can no view create "agentidentities.$all" -n finance
  can yes edit create "delegations.$all" -n finance
  can no edit create "agentpolicies.$all" -n finance
  can no edit create "agentidentities.$all" -n research
  for role in view edit admin; do
    can no "$role" update "agentidentities.$all" --subresource=status -n finance
    can no "$role" patch "agentpolicies.$all" --subresource=status -n finance
    can no "$role" delegate "agentidentities.$all/planner" -n finance
    can no "$role" bind "agentowners.$all/alice"
    can no "$role" create "trustdomains.$all"
  done
  local operator=system:serviceaccount:$system:countersign decide=system:serviceaccount:$system:countersign-decide
  eventually 20 may watch jobs.batch -n finance "--as=$operator"
  can yes "$operator" list secrets -n finance
  can yes "$operator" list secrets -n research
  can no "$operator" list secrets -n gateway
  can no "$operator" delete secrets -n "$system"
  can no "$operator" update jobs.batch -n finance
  can no "$operator" update "agentidentities.$all" -n finance
  can no "$decide" get secrets -n "$system"
  can no "$decide" get secrets -n finance
  can no "$decide" update "agentidentities.$all" -n finance
  local issue=system:serviceaccount:$system:countersign-issue
  eventually 20 may get jobs.batch -n finance "--as=$issue" # by the roles of tasks, which are aggregated
  can yes "$issue" get replicasets.apps/a -n finance
  can yes "$issue" list pods -n finance
  can yes "$issue" list secrets -n "$system"
  can no "$issue" list secrets -n finance
  local account
  for account in "$operator" "$decide" "$issue"; do can yes "$account" create tokenreviews.authentication.k8s.io; done
  can no "$issue" create secrets -n "$system"
  can no "$issue" update pods -n finance
  can no "$issue" patch "agentidentities.$all" --subresource=status -n finance
  bundles_are_its_own "$operator"
  signs true "$issue" countersign.dev/agent
  signs false "$issue" kubernetes.io/kubelet-serving
}

# bundles_are_its_own OPERATOR: ClusterTrustBundles of others it may not touch, though its role is for all.
bundles_are_its_own() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=others \
    -keyout "$work/others.key" -out "$work/others.crt" 2>/dev/null
  kubectl create -f - >/dev/null <<EOF
apiVersion: certificates.k8s.io/v1
kind: ClusterTrustBundle
metadata: {name: others}
spec:
  trustBundle: |
$(sed 's/^/    /' "$work/others.crt")
EOF
  eventually 20 bundle_is_refused delete clustertrustbundle others "--as=$1"
  kubectl get clustertrustbundle others -o json >"$work/others.json"
  bundle_is_refused replace -f "$work/others.json" "--as=$1" || die "the operator may write others' bundles: $(cat "$work/bundle.log")"
  quietly kubectl delete clustertrustbundle others
}

# By our policy: the role lets it through.
bundle_is_refused() {
  ! kubectl "$@" --dry-run=server >"$work/bundle.log" 2>&1 || return 1
  grep -qF "of countersign.dev/agent alone" "$work/bundle.log"
}

# arguments WORKLOAD: of the program, for this machine.
arguments() {
  kubectl get "$1" -n "$system" -o jsonpath='{range .spec.template.spec.containers[0].args[*]}{@}{"\n"}{end}' |
    sed -e "s|/etc/countersign/|$work/etc/|" -e "s|/var/lib/countersign/|$work/|" -e 's|=0\.0\.0\.0:[0-9]*|=127.0.0.1:0|' \
      -e "s|^--peer=https://countersign-decide-0[.].*|--peer=https://localhost:${ports[0]}|" \
      -e "s|^--peer=https://countersign-decide-1[.].*|--peer=https://localhost:${ports[1]}|" \
      -e '/^--transmitter=/d' -e "s|^--lists=.*|--lists=$lists|"
}

# account NAME: writes a kubeconfig for the ServiceAccount.
account() {
  local token
  token=$(kubectl create token "$1" -n "$system")
  kubectl config view --raw --flatten -o json | jq --arg token "$token" '.users[0].user = {token: $token}' >"$work/$1.kubeconfig"
}

# pages PID: does one of its ports say that it is ready?
pages() {
  local pid=$1 port
  for port in $(ss -Hltnp 2>/dev/null | sed -n "s/.*127\.0\.0\.1:\([0-9]*\) .*pid=$pid,.*/\1/p"); do
    curl -fsS -m 2 "http://127.0.0.1:$port/readyz" 2>/dev/null && return 0
  done
  return 1
}

free_port() { python3 -c 'import socket; it = socket.socket(); it.bind(("127.0.0.1", 0)); print(it.getsockname()[1])'; }

# decides REPLICA NAME: runs one replica of the decision point.
decides() {
  local -a args
  mapfile -t args < <(arguments statefulset/countersign-decide)
  args=("${args[@]/#--listen=127.0.0.1:0/--listen=127.0.0.1:${ports[$1]}}")
  KUBECONFIG=$work/countersign-decide.kubeconfig POD_NAMESPACE=$system POD_NAME=countersign-decide-$1 \
    COUNTERSIGN_AUDIT=sqlite:$work/$2.db "$programs/countersign" "${args[@]}" >"$work/$2.log" 2>&1 &
  background+=("$!")
  eventually 40 pages "$!"
}

# asks REPLICA TOKEN PATH ARGUMENTS…: of the decision point.
asks() {
  curl -fsS -m 5 --cacert "$work/etc/peer-ca/ca.crt" -H "Authorization: Bearer $(cat "$work/etc/$2")" \
    "https://localhost:${ports[$1]}$3" "${@:4}"
}

knows_the_signal() { asks "$1" peer/token /signals/v1/table | grep -qF '"why":"it is odd"'; }

# What one replica is told the other knows, by the chart's peers: names, token and CA.
signals_are_shared() {
  local now agent=spiffe://example.org/ns/finance/agent/odd/task/t/u
  now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  asks 0 tokens/ledger /signals/v1 -H 'Content-Type: application/json' -o "$work/told.log" --data "{
    \"id\": \"odd-1\", \"source\": \"ledger\", \"subject\": {\"agent\": \"$agent\"}, \"kind\": \"charts/odd\",
    \"severity\": 10, \"observed\": \"$now\", \"lifetime\": \"PT1H\", \"effect\": \"risk\", \"why\": \"it is odd\"}"
  eventually 10 knows_the_signal 0
  eventually 20 knows_the_signal 1
}

# As docs/install.md has it read in the operator's pod, which knows where its log is.
log_is_read() {
  KUBECONFIG=$work/countersign.kubeconfig COUNTERSIGN_AUDIT=sqlite:$work/operator.db \
    "$programs/kubectl-countersign" audit verify >"$work/verify.log" 2>&1
}

programs_run() {
  need python3 python3
  ports=("$(free_port)" "$(free_port)")
  need jq jq
  need curl curl
  need ss iproute2
  local -a args
  account countersign
  mapfile -t args < <(arguments statefulset/countersign-operator)
  KUBECONFIG=$work/countersign.kubeconfig POD_NAMESPACE=$system POD_NAME=countersign-operator-0 \
    COUNTERSIGN_AUDIT=sqlite:$work/operator.db "$programs/countersign" "${args[@]}" >"$work/operator.log" 2>&1 &
  local operator=$!
  background+=("$operator")
  eventually 30 pages "$operator"
  eventually 20 manager kustomize-controller -f examples/10-trust-domain.yaml -f examples/20-owner.yaml -f examples/30-namespace.yaml
  quietly kubectl wait td/example.org --for=condition=Ready --timeout=30s
  quietly kubectl wait td/example.org --for=condition=PoliciesInstalled --timeout=30s

  # The decision point reads its lists, as it would by the Services' names.
  lists=$(sed -n 's/.*"serving bundles and revocation lists","address":"\([^"]*\)".*/http:\/\/\1/p' "$work/operator.log")
  [ -n "$lists" ] || die "the operator doesn't say where it serves lists"

  account countersign-decide
  decides 0 decide
  decides 1 decide-1
  signals_are_shared

  account countersign-issue
  mapfile -t args < <(arguments statefulset/countersign-issue)
  KUBECONFIG=$work/countersign-issue.kubeconfig POD_NAMESPACE=$system POD_NAME=countersign-issue-0 \
    COUNTERSIGN_AUDIT=sqlite:$work/issue.db "$programs/countersign" "${args[@]}" >"$work/issue.log" 2>&1 &
  background+=("$!")
  eventually 40 pages "$!"

  log_is_read || die "the audit log can't be read with the operator's rights: $(cat "$work/verify.log")"

  # What `helm test` does in a pod: its account, its arguments. Its account is made by the hook alone.
  helm template countersign charts/countersign -n "$system" --show-only templates/tests/status.yaml >"$work/test.yaml"
  eventually 10 kubectl apply --server-side -f "$work/test.yaml" # the pod comes before its account in it
  account countersign-test
  mapfile -t args < <(kubectl get pod countersign-test -n "$system" -o jsonpath='{range .spec.containers[0].args[*]}{@}{"\n"}{end}')
  eventually 30 env KUBECONFIG="$work/countersign-test.kubeconfig" "$programs/kubectl-countersign" "${args[@]}"
  kubectl delete -f "$work/test.yaml" --now >/dev/null
}

# scraped TOKEN: the statuses of the metrics of all three programs, as Prometheus asks by the chart's monitor.
scraped() {
  local name=countersign-metrics.$system.svc address
  sed -n 's/.*"serving metrics to who may read them","address":"\([^"]*\)".*/\1/p' "$work"/{operator,decide,issue}.log |
    while read -r address; do
      curl -sS -m 5 -o "$work/metrics.log" -w '%{http_code} ' --cacert "$work/etc/metrics/tls.crt" \
        --connect-to "$name:443:$address" -H "Authorization: Bearer $1" "https://$name/metrics"
    done
}

scrapes_are() { [ "$(scraped "$1")" = "$2 $2 $2 " ]; }

# By the account that metrics.readers names, and by one that nobody named.
metrics_are_read() {
  kubectl create namespace monitoring >/dev/null
  kubectl create serviceaccount prometheus-k8s -n monitoring >/dev/null
  eventually 20 scrapes_are "$(kubectl create token prometheus-k8s -n monitoring)" 200
  grep -q '^# EOF' "$work/metrics.log" || die "no metrics: $(head -n 5 "$work/metrics.log")"
  eventually 5 scrapes_are "$(kubectl create token default -n monitoring)" 403
  grep -q 'serviceaccount=monitoring:default' "$work/metrics.log" || die "it isn't told how: $(cat "$work/metrics.log")"
  eventually 5 scrapes_are nonsense 401
}

no_right_is_missing() { ! grep -iE 'forbidden|may not be read' "$work"/{operator,decide,decide-1,issue}.log >&2 || die "a right is missing"; }

field() { kubectl get "$1" "${@:3}" -o "jsonpath=$2"; }

upgrades() {
  # A newer chart of the kinds: what it changes arrives, which a folder crds/ of a chart never would.
  cp -r charts/countersign-crds "$work/newer"
  sed -i 's/^version: .*/version: 0.2.0/' "$work/newer/Chart.yaml"
  sed -i 's/description: Who answers for the agent$/description: Who answers for it/' "$work/newer/templates/agentidentities.countersign.dev.yaml"
  quietly helm upgrade countersign-crds "$work/newer" -n "$system"
  local column='{.spec.versions[0].additionalPrinterColumns[0].description}'
  [ "$(field crd/agentidentities.countersign.dev "$column")" = "Who answers for it" ] || die "the upgrade didn't reach the CRD"
  quietly helm upgrade countersign-crds charts/countersign-crds -n "$system"
  quietly kubectl diff --server-side -f crds/
  quietly kubectl wait td/example.org --for=condition=PoliciesInstalled --timeout=5s

  # Aggregated roles are filled by now, and nobody is in conflict about it. Twice is as once.
  local values=(-f charts/countersign/ci/everything-values.yaml --set operator.workers=16)
  quietly helm upgrade countersign charts/countersign -n "$system" "${values[@]}"
  [[ "$(field statefulset/countersign-operator '{.spec.template.spec.containers[0].args}' -n "$system")" == *--workers=16* ]] ||
    die "the upgrade didn't reach the operator"
  local before after
  before=$(field statefulset/countersign-operator '{.metadata.generation}' -n "$system")
  quietly helm upgrade countersign charts/countersign -n "$system" "${values[@]}"
  after=$(field statefulset/countersign-operator '{.metadata.generation}' -n "$system")
  [ "$before" = "$after" ] || die "the same values changed the operator"
  # Another team's choice, and back: from SQLite to two replicas would be another claim, which a StatefulSet
  # refuses; the notes of docs/install.md say how.
  quietly helm rollback countersign 1 -n "$system"
}

uninstall() {
  kill "${background[@]}"
  wait "${background[@]}" 2>/dev/null || true
  background=()
  nobody_looked
  quietly helm uninstall countersign -n "$system"
  quietly helm uninstall countersign-crds -n "$system"
  quietly kubectl get crd agentidentities.countersign.dev
  quietly kubectl get validatingadmissionpolicy countersign-check-requester
  quietly kubectl get td/example.org agentowner/alice
  quietly kubectl get secret example.org-authority -n "$system"
  quietly kubectl get pvc audit-countersign-operator-0 -n "$system"
  [ -z "$(kubectl get clusterroles,clusterrolebindings,flowschemas -l app.kubernetes.io/instance=countersign -o name)" ] ||
    die "something of the operator's stayed"
  # And a new installation goes on with them.
  quietly helm install countersign-crds charts/countersign-crds -n "$system"
  quietly helm install countersign charts/countersign -n "$system"
  quietly helm uninstall countersign -n "$system"
  quietly helm uninstall countersign-crds -n "$system"
}

kustomize() {
  quietly kubectl kustomize deploy/kustomize
  quietly kubectl apply --server-side --force-conflicts -k deploy/kustomize
  quietly kubectl diff --server-side --force-conflicts -k deploy/kustomize
  eventually 30 kubectl get pod countersign-operator-0 -n "$system"
  # Kinds that were applied without Helm become Helm's.
  kubectl annotate crd/taskkinds.countersign.dev meta.helm.sh/release-name- meta.helm.sh/release-namespace- >/dev/null
  quietly helm install countersign-crds charts/countersign-crds -n "$system" --take-ownership
}

main "$@"

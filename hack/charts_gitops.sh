# shellcheck shell=bash
# Sourced by charts_cluster.sh: what GitOps tools do to our objects, and what they see of them. Objects in each
# state there is go to $LIVE as the API server has them, for the library that Flux and Helm judge them by
# (tests/charts/kstatus_test.go).
# shellcheck disable=SC2154 # `work` is the caller's

gitops() {
  mkdir -p "$LIVE"
  nothing_drifts
  every_state
  helm_waits
}

# manager NAME FILE…: applies as a tool does.
manager() { kubectl apply --server-side --field-manager="$1" "${@:2}"; }

# live STATE OBJECT [-n NAMESPACE]: keeps it as it is now.
live() { kubectl get "${@:2}" -o json >"$LIVE/$1.${2/\//.}.json"; }

# turns CONDITION OBJECT [-n NAMESPACE]: it becomes true.
turns() { quietly kubectl wait --for="condition=$1" "${@:2}" --timeout=20s; }

# identity NAME TASK [OWNER [DELIVERY]], in the namespace `in`.
identity() {
  manager kustomize-controller -f - <<EOF
apiVersion: countersign.dev/v1alpha1
kind: AgentIdentity
metadata: {name: $1, namespace: ${in:-finance}}
spec:
  trustDomainRef: {name: example.org}
  ownerRef: {name: ${3:-alice}}
  taskRef: {group: batch, resource: jobs, name: $2}
  credential: {delivery: ${4:-Secret}}
EOF
}

# Alice's delegation to the identity `later`.
to_later() {
  sed '/^---/,$d; s/alice-to-planner/alice-to-later/; s/to: {name: planner}/to: {name: later}/' examples/60-delegations.yaml |
    manager kustomize-controller -f -
}

# job NAME, in the namespace `in`: nobody runs its pod.
job() {
  kubectl create -f - <<EOF
apiVersion: batch/v1
kind: Job
metadata: {name: $1, namespace: ${in:-finance}}
spec:
  template:
    spec:
      schedulerName: nobody
      restartPolicy: Never
      containers: [{name: agent, image: agent}]
EOF
}

# done_with NAME, in the namespace `in`: the Job's pod has succeeded.
done_with() {
  local pod
  eventually 10 kubectl wait --for=create pod -l "job-name=$1" -n "${in:-finance}" --timeout=5s
  pod=$(kubectl get pod -l "job-name=$1" -n "${in:-finance}" -o name)
  quietly kubectl patch "$pod" -n "${in:-finance}" --subresource=status --type=merge -p '{"status": {"phase": "Succeeded"}}'
}

# Versions of everything that is ours.
versions() {
  kubectl get trustdomains,agentowners,taskkinds,agentidentities,delegations,agentpolicies,clusteragentpolicies -A \
    -o jsonpath='{range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{"\n"}{end}'
}

# unchanged WHAT BEFORE
unchanged() {
  local now
  now=$(versions)
  [ "$2" = "$now" ] || die "$1 changed: $(diff <(printf '%s' "$2") <(printf '%s' "$now") | tail -n 5)"
}

# Applied by one manager, then by another, each twice: nobody is in conflict, nothing differs, and nobody answers.
nothing_drifts() {
  local set=() file before name
  for file in examples/[1-7]0-*.yaml examples/35-*.yaml examples/4[1-3]-*.yaml; do set+=(-f "$file"); done
  quietly manager kustomize-controller "${set[@]}"
  for name in agentidentities delegations agentpolicies; do turns Ready "$name" --all -n finance; done
  turns Ready clusteragentpolicies --all
  settled
  before=$(versions)
  quietly manager kustomize-controller "${set[@]}"
  quietly kubectl diff --server-side --field-manager=kustomize-controller "${set[@]}"
  unchanged "applying the same once more" "$before"

  quietly manager argocd-controller "${set[@]}"
  before=$(versions)
  quietly manager argocd-controller "${set[@]}"
  for name in kustomize-controller argocd-controller; do
    quietly kubectl diff --server-side --field-manager="$name" "${set[@]}"
  done
  sleep 2
  unchanged "nobody's doing anything" "$before"
  # Of ours, status is all that the programs hold, and the tools hold what they applied.
  local held
  held=$(kubectl get trustdomains,agentowners,agentidentities,agentpolicies,clusteragentpolicies -A --show-managed-fields -o json |
    jq -r '.items[] | .kind + "/" + .metadata.name + (.metadata.managedFields[] |
      select((.manager | IN("kustomize-controller", "argocd-controller") | not) and .subresource != "status") | ": \(.manager) \(.fieldsV1)")')
  [ -z "$held" ] || die "somebody else holds fields: $held"
}

# Until nothing has been written for a second.
settled() { eventually 30 still; }
still() {
  local was
  was=$(versions)
  sleep 1
  [ "$was" = "$(versions)" ]
}

every_state() {
  local name
  live ready trustdomain/example.org
  live ready agentowner/alice
  live ready agentidentity/invoice-reader -n finance
  live ready delegation/alice-to-planner -n finance
  live ready agentpolicy/ledger -n finance
  live ready clusteragentpolicy/guard

  quietly identity later not-yet-there
  turns Reconciling agentidentity/later -n finance
  live waiting agentidentity/later -n finance
  quietly kubectl apply --server-side -f examples/refused/unknown-owner.yaml -f examples/refused/wider-delegation.yaml
  turns Stalled agentidentity/orphan -n finance
  live refused agentidentity/orphan -n finance
  turns Stalled delegation/reader-to-writer-all -n finance
  live refused delegation/reader-to-writer-all -n finance
  sed 's/^  name: ledger$/  name: typo/' examples/refused/policy-typo.yaml | quietly kubectl apply --server-side -f -
  turns Stalled agentpolicy/typo -n finance
  live refused agentpolicy/typo -n finance
  for name in TaskKind/testdata/{ready,bad-rule} TrustDomain/testdata/authority-missing; do
    sed '/^status:/,$d; /generation:/d' "deploy/argocd/countersign.dev/$name.yaml" | quietly kubectl create -f -
  done
  name=$(kubectl get -f deploy/argocd/countersign.dev/TaskKind/testdata/ready.yaml -o jsonpath='{.metadata.name}')
  turns Ready "taskkind/$name"
  live ready "taskkind/$name"
  turns Stalled taskkind/bad.example.org
  live refused taskkind/bad.example.org
  turns Stalled trustdomain/lost.example
  live refused trustdomain/lost.example

  # A pod's own: no Secret, nothing issued yet, and in order.
  quietly job by-itself
  quietly identity by-itself by-itself alice Workload
  turns Ready agentidentity/by-itself -n finance
  live ready agentidentity/by-itself -n finance

  # Over, and changed after that: it stays over.
  quietly job short
  quietly identity short short
  turns Ready agentidentity/short -n finance
  done_with short
  turns Completed agentidentity/short -n finance
  live over agentidentity/short -n finance
  quietly identity shorter short # a task that is over when the identity comes
  turns Completed agentidentity/shorter -n finance
  live over agentidentity/shorter -n finance
  quietly kubectl patch agentidentity/shorter -n finance --type=merge -p '{"spec": {"desiredState": "Suspended"}}'
  quietly kubectl wait --for=jsonpath='{.status.observedGeneration}'=2 agentidentity/shorter -n finance --timeout=10s
  turns Completed agentidentity/shorter -n finance
  kubectl get agentidentity/shorter -n finance -o json >"$LIVE/over.agentidentity.shorter-changed.json"

  # A good certificate, whose renewal is refused.
  kubectl label namespace research trust-domain=example.org >/dev/null
  in=research quietly job outcast
  in=research quietly identity outcast outcast
  turns Ready agentidentity/outcast -n research
  kubectl label namespace research trust-domain- >/dev/null
  turns Stalled agentidentity/outcast -n research
  live refused agentidentity/outcast -n research

  quietly kubectl patch delegation/reader-to-writer -n finance --type=merge -p '{"spec": {"desiredState": "Revoked"}}'
  turns Completed delegation/reader-to-writer -n finance
  live over delegation/reader-to-writer -n finance
  quietly kubectl patch agentidentity/planner -n finance --type=merge -p '{"spec": {"desiredState": "Suspended"}}'
  turns Suspended agentidentity/planner -n finance
  live suspended agentidentity/planner -n finance
  turns Suspended delegation/planner-to-reader -n finance
  live suspended delegation/planner-to-reader -n finance
  quietly kubectl patch agentidentity/planner -n finance --type=merge -p '{"spec": {"desiredState": "Active"}}'
  quietly to_later
  turns Reconciling delegation/alice-to-later -n finance
  live waiting delegation/alice-to-later -n finance
}

# Of an operator that isn't running: the kinds' own defaults.
nobody_looked() {
  local name
  quietly kubectl delete agentidentity/later delegation/alice-to-later agentpolicy/typo -n finance
  quietly kubectl delete trustdomain/lost.example taskkind/bad.example.org
  quietly identity later not-yet-there
  sed 's/^  name: ledger$/  name: typo/' examples/refused/policy-typo.yaml | quietly kubectl apply --server-side -f -
  quietly to_later
  for name in TaskKind/testdata/bad-rule TrustDomain/testdata/authority-missing; do
    sed '/^status:/,$d; /generation:/d' "deploy/argocd/countersign.dev/$name.yaml" | quietly kubectl create -f -
  done
  live new agentidentity/later -n finance
  live new delegation/alice-to-later -n finance
  live new agentpolicy/typo -n finance
  live new taskkind/bad.example.org
  live new trustdomain/lost.example
}

# Helm 4 with --wait, of a chart with an agent in it: what it returns, and when.
helm_waits() {
  local chart=tests/charts/agent waiting
  # In order: a Job that nobody runs has begun, and its agent has a certificate.
  quietly helm install good "$chart" -n finance --wait --timeout 20s
  [ "$(field agentidentity/good '{.status.conditions[?(@.type=="Ready")].status}' -n finance)" = True ] || die "Helm didn't wait for the identity"
  # Suspended, and over: nothing is left to wait for.
  quietly helm upgrade good "$chart" -n finance --set desiredState=Suspended --wait --timeout 10s
  turns Suspended agentidentity/good -n finance
  done_with good
  turns Completed agentidentity/good -n finance
  quietly helm upgrade good "$chart" -n finance --set-string labels.changed=yes --wait --timeout 10s
  quietly helm uninstall good -n finance --wait --timeout 10s
  quietly kubectl wait --for=delete agentidentity/good -n finance --timeout=10s

  # Refused: an error, with the reason.
  if helm install refused "$chart" -n finance --set owner=mallory --wait --timeout 5s >"$work/helm.log" 2>&1; then
    die "Helm is content with a refused identity"
  fi
  grep -q 'AgentIdentity/finance/refused' "$work/helm.log" || die "Helm doesn't name what was refused: $(cat "$work/helm.log")"
  quietly helm uninstall refused -n finance

  # Its task comes later: Helm waits for as long.
  helm install later "$chart" -n finance --set job=false --set name=comes-later --wait --timeout 30s >"$work/helm.log" 2>&1 &
  waiting=$!
  eventually 10 kubectl get agentidentity/comes-later -n finance
  turns Reconciling agentidentity/comes-later -n finance
  sleep 1
  kill -0 "$waiting" 2>/dev/null || die "Helm didn't wait for the task: $(cat "$work/helm.log")"
  quietly job comes-later
  wait "$waiting" || die "Helm didn't see that the task came: $(cat "$work/helm.log")"
  quietly helm uninstall later -n finance
}

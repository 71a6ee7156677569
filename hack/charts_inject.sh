# shellcheck shell=bash
# Sourced by charts_cluster.sh: what the admission policy of `inject` makes of pods.
# shellcheck disable=SC2154 # `work` is the caller's

# pod NAME LABEL [JQ]: creates a pod in finance, changed by JQ before, and keeps what came to be in $work/pod.json.
pod() {
  jq -n --arg name "$1" --arg asks "$2" '{
    apiVersion: "v1", kind: "Pod",
    metadata: {name: $name, labels: {"countersign.dev/inject": $asks}},
    spec: {
      schedulerName: "nobody",
      securityContext: {runAsNonRoot: true, seccompProfile: {type: "RuntimeDefault"}},
      containers: [{
        name: "app", image: "app",
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: ["ALL"]}}}]}}' |
    jq "${3:-.}" >"$work/asked.json"
  kubectl create -n finance -f "$work/asked.json" -o json >"$work/pod.json" 2>"$work/pod.log"
}

# has JQ: the pod that came to be.
has() { jq -e "$1" "$work/pod.json" >/dev/null || die "not so: $1 ($(jq -c '.spec | {initContainers, containers, volumes}' "$work/pod.json"))"; }

once='([.spec.initContainers[]? | select(.name == "countersign-agent")] | length == 1)
  and ([.spec.volumes[] | select(.name | startswith("countersign-"))] | length == 2)
  and all(.spec.containers[]; [.volumeMounts[] | select(.name == "countersign-agent")] | length == 1)'

injects() {
  kubectl label namespace finance pod-security.kubernetes.io/{enforce,warn}=restricted >/dev/null
  pod before-the-namespace true || die "refused: $(cat "$work/pod.log")"
  has '.spec.initContainers == null'
  kubectl label namespace finance countersign.dev/inject=example.org >/dev/null
  eventually 20 is_injected # a policy counts some moments after it is there

  has '.spec.initContainers[0] | .restartPolicy == "Always" and .command == ["countersign"] and .args[0] == "agent"'
  has '.spec.initContainers[0].args | index("--trust-domain=example.org")'
  has '.spec.initContainers[0] | .args | index("--issuer=https://countersign-issue.countersign-system.svc:9444")'
  has '.spec.initContainers[0].args | map(select(test("^--(identity|files)="))) == []'
  has '.spec.initContainers[0].securityContext | .runAsUser == 65532 and .runAsGroup == 65532 and .runAsNonRoot and .readOnlyRootFilesystem'
  has '.spec.securityContext | .supplementalGroups == [65532] and .fsGroup == null'
  has '.spec.initContainers[0].resources.limits.memory == "64Mi"'
  has '.spec.initContainers[0].startupProbe.httpGet == {path: "/readyz", port: "agent-health", scheme: "HTTP"}'
  has '.spec.volumes | map(select(.name == "countersign-token")) | .[0].projected.sources == [
    {serviceAccountToken: {audience: "countersign", expirationSeconds: 3600, path: "token"}},
    {clusterTrustBundle: {name: "countersign.dev:agent:example.org", path: "ca.crt"}}]'
  has '.spec.containers[0].env == [{name: "SPIFFE_ENDPOINT_SOCKET", value: "unix:///run/countersign/agent.sock"}]'
  has '[.spec.containers[0].volumeMounts[] | select(.name == "countersign-agent")] == [{name: "countersign-agent", mountPath: "/run/countersign", readOnly: true}]'

  # What doesn't ask has none.
  pod asks-not false || die "refused: $(cat "$work/pod.log")"
  has '.spec.initContainers == null'

  # What the pod has of its own stays, whatever it is.
  pod its-own true '.spec.securityContext += {runAsUser: 1000, supplementalGroups: [7]} | .metadata.annotations = {
      "countersign.dev/identity": "reader", "countersign.dev/files": "true", "countersign.dev/health-port": "9082"}
    | .spec.volumes = [{name: "data", emptyDir: {}}]
    | .spec.initContainers = [.spec.containers[0] + {name: "first"}]
    | .spec.containers[0] += {
        env: [{name: "A", value: "1"}, {name: "A", value: "2"}, {name: "SPIFFE_ENDPOINT_SOCKET", value: "unix:///elsewhere"}],
        ports: [{containerPort: 80, name: "a"}, {containerPort: 80, name: "b"}],
        volumeMounts: [{name: "data", mountPath: "/data"}]}
    | .spec.containers += [.spec.containers[0] + {name: "second", env: null, ports: null}]' || die "refused: $(cat "$work/pod.log")"
  has "$once"
  has '[.spec.initContainers[].name] == ["countersign-agent", "first"] and .spec.securityContext.supplementalGroups == [7, 65532]'
  has '.spec.initContainers[0].securityContext.runAsUser == null and .spec.initContainers[0].ports[0].containerPort == 9082'
  has '.spec.initContainers[0].args | index("--identity=reader") and index("--files=/run/countersign/files") and index("--health-listen=0.0.0.0:9082")'
  has '.spec.containers[0] | (.env | length == 3) and .env[2].value == "unix:///elsewhere" and (.ports | length == 2)'
  has '[.spec.containers[0].volumeMounts[].mountPath | select(. == "/data")] | length == 1'
  has '.spec.containers[1].env | length == 1'
  has '.spec.initContainers[1].env | length == 1'

  # Twice is once: the same pod again, and another policy that changes pods after this one.
  cp "$work/pod.json" "$work/again.json"
  jq 'del(.status) | .metadata = {name: "again", labels: .metadata.labels}' "$work/again.json" >"$work/asked.json"
  kubectl create -n finance -f "$work/asked.json" -o json >"$work/pod.json" 2>"$work/pod.log" || die "refused: $(cat "$work/pod.log")"
  has "$once"
  another_policy
  eventually 20 is_marked
  has "$once"

  # As a controller makes it.
  kubectl create -n finance -f - <<EOF >/dev/null
apiVersion: batch/v1
kind: Job
metadata: {name: injected}
spec:
  template: $(jq -c '{metadata: {labels: .metadata.labels}, spec: (.spec + {restartPolicy: "Never"})}' "$work/asked-simple.json")
EOF
  eventually 20 kubectl wait --for=create pod -l job-name=injected -n finance --timeout=5s
  kubectl get pod -l job-name=injected -n finance -o json | jq '.items[0]' >"$work/pod.json"
  has "$once"

  # A port that is none is told to whoever makes the pod.
  ! pod bad-port true '.metadata.annotations = {"countersign.dev/health-port": "http"}' || die "a pod with a bad port was made"
  grep -q "countersign-inject" "$work/pod.log" || die "nobody is told whose refusal it is: $(cat "$work/pod.log")"
  kubectl delete pods,jobs --all -n finance --now --wait=false >/dev/null
  kubectl label namespace finance countersign.dev/inject- pod-security.kubernetes.io/{enforce,warn}- >/dev/null
  quietly kubectl delete -f "$work/another.yaml"
}

is_injected() {
  kubectl delete pod injected -n finance --ignore-not-found --now
  pod injected true && cp "$work/asked.json" "$work/asked-simple.json" && jq -e "$once" "$work/pod.json"
}

# Somebody else's, which changes every pod, and is asked again when another did.
another_policy() {
  cat >"$work/another.yaml" <<'EOF'
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: another}
spec:
  reinvocationPolicy: IfNeeded
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  mutations:
    - patchType: ApplyConfiguration
      applyConfiguration:
        expression: 'Object{metadata: Object.metadata{labels: {"another": "was-here"}}}'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: another}
spec: {policyName: another}
EOF
  quietly kubectl apply --server-side -f "$work/another.yaml"
}

is_marked() {
  kubectl delete pod marked -n finance --ignore-not-found --now
  pod marked true && jq -e '.metadata.labels.another == "was-here"' "$work/pod.json"
}

# The sidecar as the policy has it, beside the real endpoint with the chart's rights: its pod has no node to run on, so
# it runs here, with the pod's arguments, token and bundle.
sidecar_runs() {
  local endpoint pod agent
  local -a args
  endpoint=$(sed -n 's/.*"message":"issuing","listen":"\([^"]*\)".*/\1/p' "$work/issue.log")
  [ -n "$endpoint" ] || die "the issuing endpoint doesn't say where it listens"
  kubectl label namespace finance countersign.dev/inject=example.org >/dev/null
  kubectl create -n finance -f - <<'EOF' >/dev/null
apiVersion: batch/v1
kind: Job
metadata: {name: sidecar}
spec:
  template:
    metadata:
      labels: {countersign.dev/inject: "true"}
      annotations: {countersign.dev/identity: sidecar, countersign.dev/files: "true"}
    spec:
      schedulerName: nobody
      restartPolicy: Never
      containers: [{name: agent, image: agent}]
EOF
  quietly identity sidecar sidecar alice Workload
  turns Ready agentidentity/sidecar -n finance
  eventually 10 kubectl wait --for=create pod -l job-name=sidecar -n finance --timeout=5s
  pod=$(kubectl get pod -l job-name=sidecar -n finance -o jsonpath='{.items[0].metadata.name}')
  mkdir -p "$work/pod" "$work/run"
  kubectl create token default -n finance --audience countersign --bound-object-kind Pod --bound-object-name "$pod" \
    --bound-object-uid "$(field "pod/$pod" '{.metadata.uid}' -n finance)" >"$work/pod/token"
  field clustertrustbundle/countersign.dev:agent:example.org '{.spec.trustBundle}' >"$work/pod/ca.crt"
  mapfile -t args < <(kubectl get pod "$pod" -n finance -o jsonpath='{range .spec.initContainers[0].args[*]}{@}{"\n"}{end}' |
    sed -e "s|^--issuer=.*|--issuer=https://$endpoint|" -e "s|/var/run/secrets/countersign|$work/pod|" -e "s|/run/countersign|$work/run|" \
      -e 's|=0\.0\.0\.0:[0-9]*|=127.0.0.1:0|')
  "$programs/countersign" "${args[@]}" >"$work/agent.log" 2>&1 &
  agent=$!
  background+=("$agent")
  eventually 20 pages "$agent"
  openssl x509 -in "$work/run/files/tls.crt" -noout -ext subjectAltName | grep -q 'URI:spiffe://example.org/ns/finance/agent/sidecar/task/' ||
    die "the file has no certificate of the identity"
  [ -S "$work/run/agent.sock" ] || die "there is no socket"
  done_with sidecar
  eventually 10 gone "$agent"
  quietly kubectl delete agentidentity/sidecar job/sidecar -n finance
  kubectl label namespace finance countersign.dev/inject- >/dev/null
}

# gone PID: the sidecar has nothing any more.
gone() { ! pages "$1" && [ ! -e "$work/run/files/tls.crt" ]; }

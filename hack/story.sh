#!/usr/bin/env bash
# The life of an agent's identity, told by kubectl and openssl against the cluster of KUBECONFIG.
# `make try` runs it. It ends and removes what it has started and made, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh

namespace=finance
system=countersign-system
operator_binary=$PWD/target/debug/countersign
countersign_binary=$PWD/target/debug/kubectl-countersign
testbed_binary=$PWD/target/debug/countersign-testbed

work=$(mktemp -d)
background=() # pids to end
made=()       # what cleaning up removes from a cluster that stays
operator=
decide=       # where the decision point listens
envoy=        # Envoy's port
connections=0 # that the reader has opened
to_agent=     # where the reader is told what to ask
started=$SECONDS

if [ -t 1 ]; then
  bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
  bold='' dim='' plain=''
fi

main() {
  look_first
  install_kinds
  start_operator
  admit_alice
  identity_waits
  job_starts
  show_certificate
  handshake
  refuse_wider
  renew
  hand_on
  refuse_widening
  verify_offline
  who_allowed_it
  decide
  through_envoy
  risk_rises
  risk_falls
  revoke_the_root
  read_the_log
  complete_job
  delete_job
  chapter "Told in $((SECONDS - started)) seconds"
  if [ "${KEEP:-0}" = 1 ]; then stay; fi
}

# --- the story ---------------------------------------------------------------------------------

look_first() {
  kubectl version >/dev/null || die "no cluster answers (KUBECONFIG=${KUBECONFIG:-})"
  local taken
  taken=$(kubectl get --ignore-not-found -o name "namespace/$namespace")
  if have_kinds; then
    taken+=$(kubectl get --ignore-not-found -o name trustdomain/example.org agentowner/alice)
  fi
  [ -z "$taken" ] || die "this cluster has $taken already; the story would be told over it. Remove it or use another cluster."
}

install_kinds() {
  chapter "The kinds and the admission policies"
  have_kinds || made+=(kinds)
  run kubectl apply --server-side -f crds/
  local kind
  for kind in trustdomains agentowners agentidentities delegations taskkinds agentpolicies clusteragentpolicies; do
    kubectl wait --for=condition=Established --timeout=30s "crd/$kind.countersign.dev" >/dev/null
  done
  patiently kubectl explain agid.spec.taskRef >"$work/explain"
  command_line kubectl explain agid.spec.taskRef
  cat "$work/explain"
}

start_operator() {
  chapter "The operator"
  tell "It may read and write Secrets in the namespace $namespace and in its own, nowhere else."
  [ -n "$(kubectl get --ignore-not-found -o name "namespace/$system")" ] || made+=("$system")
  command_line countersign run "--namespace=$system" "--secret-namespaces=$namespace" --audit=sqlite:audit.db
  "$operator_binary" run "--namespace=$system" "--secret-namespaces=$namespace" \
    --metrics-listen=127.0.0.1:0 --publish-listen=127.0.0.1:0 \
    "--audit=sqlite:$work/audit.db" >"$work/operator.log" 2>&1 &
  operator=$!
  tell "It runs as process $operator."
}

admit_alice() {
  chapter "A trust domain, an owner, a namespace"
  made+=(story)
  run_patiently kubectl apply --server-side -f examples/10-trust-domain.yaml -f examples/20-owner.yaml -f examples/30-namespace.yaml -f examples/35-alice.yaml
  run kubectl wait --for=condition=Ready trustdomain/example.org --timeout=30s
  run kubectl get trustdomains,agentowners
}

identity_waits() {
  chapter "Identities wait for their tasks"
  tell "Alice writes them herself."
  run_patiently kubectl --as=alice@example.com apply --server-side -f examples/40-ledger.yaml -f examples/41-invoice-reader.yaml -f examples/42-report-writer.yaml -f examples/43-planner.yaml
  run kubectl wait -n "$namespace" agid --all --for=condition=Reconciling --timeout=20s
  run kubectl get agid -n "$namespace"
  tell "Why: $(condition invoice-reader Reconciling '{.reason}: {.message}')"
  run kubectl get secrets -n "$namespace"
}

job_starts() {
  chapter "The Jobs start, and the certificates appear"
  run kubectl apply --server-side -f examples/50-jobs.yaml
  run kubectl wait -n "$namespace" agid --all --for=condition=Ready --timeout=20s
  run kubectl get jobs -n "$namespace"
  run kubectl get agid -n "$namespace" -o wide
  run kubectl get secrets -n "$namespace"
  tell "report-writer has no Secret: it kept its key, and its certificate is in its status."
}

show_certificate() {
  chapter "What is in a certificate"
  mount_secret ledger
  mount_secret invoice-reader
  bundle
  beside run openssl x509 -in invoice-reader/tls.crt -noout -issuer -serial -startdate -enddate -ext "subjectAltName,extendedKeyUsage,keyUsage,basicConstraints"
  beside run openssl verify -CAfile bundle.pem -purpose sslclient invoice-reader/tls.crt
  kubectl get agid report-writer -n "$namespace" -o jsonpath='{.status.certificate.chain}' >"$work/report-writer.crt"
  beside run openssl verify -CAfile bundle.pem -purpose sslclient report-writer.crt
}

handshake() {
  chapter "Two agents talk mTLS"
  tell "ledger listens, and takes only callers whom the trust domain vouches for."
  openssl s_server -accept 127.0.0.1:0 -naccept 2 -www -tls1_3 -CAfile "$work/bundle.pem" \
    -cert "$work/ledger/tls.crt" -key "$work/ledger/tls.key" \
    -Verify 1 -verify_return_error >"$work/server.out" 2>&1 &
  background+=("$!")
  local address
  address=$(until_found "$work/server.out" 's/^ACCEPT \(.*:[0-9]*\)$/\1/p')

  command_line openssl s_client -connect "$address" -tls1_3 -cert tls.crt -key tls.key -CAfile bundle.pem -verify_return_error
  printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -connect "$address" -tls1_3 -ign_eof -CAfile "$work/bundle.pem" \
    -cert "$work/invoice-reader/tls.crt" -key "$work/invoice-reader/tls.key" \
    -verify 1 -verify_return_error >"$work/client.out" 2>&1 || die "no handshake: $(cat "$work/client.out")"
  grep -m 1 '^New, TLSv1.3' "$work/client.out"
  grep -m 1 'Verify return code: 0' "$work/client.out" || die "the server's certificate didn't verify: $(cat "$work/client.out")"
  echo "invoice-reader saw  $(openssl x509 -in "$work/client.out" -noout -ext subjectAltName | grep -o 'spiffe:.*')"
  echo "ledger saw          $(grep -m 1 -o 'spiffe:.*agent/invoice-reader.*' "$work/client.out")"

  tell "Without a certificate:"
  if openssl s_client -connect "$address" -tls1_3 -ign_eof -CAfile "$work/bundle.pem" >"$work/nobody.out" 2>&1 </dev/null; then
    die "a caller without a certificate was let in"
  fi
  grep -m 1 -o 'tlsv13 alert certificate required' "$work/nobody.out"
}

refuse_wider() {
  chapter "More than its owner has: refused"
  run kubectl apply --server-side -f examples/refused/wider-grants.yaml
  run kubectl wait -n "$namespace" agid/invoice-writer --for=condition=Stalled --timeout=20s
  tell "Why: $(condition invoice-writer Stalled '{.reason}: {.message}')"
  run kubectl delete -n "$namespace" agid/invoice-writer
}

renew() {
  chapter "A renewal"
  tell "It would come by itself at half of these five minutes. A longer life is one more reason."
  local before after tries=0
  before=$(serial invoice-reader)
  run kubectl patch agid/invoice-reader -n "$namespace" --type=merge -p '{"spec":{"credential":{"certificateTTLSeconds":600}}}'
  after=$before
  while [ "$after" = "$before" ]; do
    [ $((tries += 1)) -le 100 ] || die "not renewed within 10 s"
    sleep 0.1
    after=$(serial invoice-reader)
  done
  echo "serial before  $before"
  echo "serial after   $after"
  mount_secret invoice-reader
  beside run openssl x509 -in invoice-reader/tls.crt -noout -startdate -enddate
}

hand_on() {
  chapter "Alice hands on, the planner hands on, the reader hands on"
  run kubectl --as=alice@example.com apply --server-side -f examples/60-delegations.yaml
  run kubectl wait -n "$namespace" deleg --all --for=condition=Ready --timeout=20s
  run kubectl get deleg -n "$namespace"
  run_countersign tree alice -n "$namespace"
}

refuse_widening() {
  chapter "A hop that widens: refused"
  run kubectl apply --server-side -f examples/refused/wider-delegation.yaml
  run kubectl wait -n "$namespace" deleg/reader-to-writer-all --for=condition=Stalled --timeout=20s
  tell "Why: $(delegation_condition reader-to-writer-all Stalled '{.reason}: {.message}')"
  run kubectl delete -n "$namespace" deleg/reader-to-writer-all
}

verify_offline() {
  chapter "Verified offline, from the bundle alone"
  kubectl get deleg/reader-to-writer -n "$namespace" -o yaml >"$work/chain.yaml"
  kubectl get configmap/example.org-bundle -n "$system" -o go-template='{{index .data "bundle.json"}}' >"$work/bundle.json"
  kubectl get agid report-writer -n "$namespace" -o jsonpath='{.status.certificate.chain}' >"$work/report-writer.crt"
  beside run_countersign verify --chain chain.yaml --bundle bundle.json --trust-domain example.org --certificate report-writer.crt
}

who_allowed_it() {
  chapter "Which agent, on whose authority?"
  run_countersign trail "$(serial report-writer)" --audit "sqlite:$work/audit.db"
}

decide() {
  chapter "Every request is decided"
  tell "Policies in Cedar, with tests inside; what no policy permits is denied."
  run_patiently kubectl apply --server-side -f examples/70-policies.yaml
  run kubectl wait -n "$namespace" agpol/ledger cagpol/guard --for=condition=Ready --timeout=20s
  run kubectl get agpol,cagpol -n "$namespace"
  local name
  for name in envoy soc; do (umask 077 && openssl rand -hex 24 >"$work/$name.token"); done
  command_line countersign decide --token envoy=envoy.token,vouches --token soc=soc.token,reports --audit=sqlite:audit.db
  "$operator_binary" decide "--namespace=$system" --listen=127.0.0.1:0 --metrics-listen=none \
    --token "envoy=$work/envoy.token,vouches" --token "soc=$work/soc.token,reports" \
    "--audit=sqlite:$work/audit.db" >"$work/decide.log" 2>&1 &
  background+=("$!")
  decide=$(until_found "$work/decide.log" 's/.*answering.*listen=\([^ ]*\).*/\1/p')
  until_found "$work/decide.log" '/all facts are there and fresh/p' >/dev/null
  digest=$(kubectl get deleg/planner-to-reader -n "$namespace" -o jsonpath='{.status.digest}')
  tell "May the reader read an invoice of this month, by what the planner handed on?"
  can read ledger/invoices/2026/11/7 || die "it should be allowed"
  tell "And one of last year?"
  if can read ledger/invoices/2025/11/7; then die "last year's invoices were never handed on"; fi
}

can() {
  run_countersign can "$1" "$2" --as-agent "$namespace/invoice-reader" \
    --delegation "$namespace/planner-to-reader" \
    --decision-point "http://$decide" --insecure-http --token-file "$work/envoy.token"
}

through_envoy() {
  chapter "Through a real Envoy, which asks about each request"
  local program port=$((20000 + RANDOM % 10000)) ledger
  program=$("$testbed_binary" envoy)
  python3 hack/story_ledger.py >"$work/ledger.port" 2>"$work/ledger.log" &
  background+=("$!")
  ledger=$(until_found "$work/ledger.port" '/./p')
  (umask 077 && sed -e "s/Bearer TOKEN/Bearer $(cat "$work/envoy.token")/" -e "s/8443/$port/" \
    -e "s/8000/$ledger/" -e "s/9443/${decide##*:}/" examples/envoy.yaml >"$work/envoy.yaml")
  command_line envoy -c examples/envoy.yaml
  (cd "$work" && exec "$program" -c envoy.yaml --concurrency 1 --disable-hot-restart --log-level warning --component-log-level main:info) >"$work/envoy.log" 2>&1 &
  background+=("$!")
  until_found "$work/envoy.log" '/starting main dispatch loop/p' >/dev/null
  envoy=$port
  connect
  tell "The service behind sees who it is, and on whose authority; what a client says of that is taken away."
  request /invoices/2026/11/7
}

# Opens the reader's connection, with the certificate that it has now.
connect() {
  mount_secret invoice-reader
  hang_up
  connections=$((connections + 1))
  exec {to_agent}> >(exec python3 hack/story_agent.py "$envoy" "$work/invoice-reader" "$work/bundle.pem" >"$work/agent.$connections" 2>&1)
  answered=0
}

# Ends the reader's connection, if there is one.
hang_up() {
  [ -z "$to_agent" ] || exec {to_agent}>&-
  to_agent=
}

# Asks on it, and shows what came.
request() {
  printf '%s$ GET %s, as invoice-reader%s\n' "$dim" "$1" "$plain"
  printf '%s %s\n' "$1" "$digest" >&"$to_agent"
  local tries=0
  until [ "$(grep -c '^\.$' "$work/agent.$connections")" -gt "$answered" ]; do
    [ $((tries += 1)) -le 400 ] || die "no answer: $(cat "$work/agent.$connections")"
    sleep 0.05
  done
  answered=$((answered + 1))
  answer=$(awk -v n="$answered" '/^\.$/ { n--; next } n == 1' "$work/agent.$connections")
  printf '%s\n' "$answer"
  decision=$(sed -n 's/^  decision //p' <<<"$answer")
}

# signal EFFECT SEVERITY: what a security operations centre noticed of the reader.
signal() {
  python3 - "$decide" "$work/soc.token" "$(kubectl get agid/invoice-reader -n "$namespace" -o jsonpath='{.status.spiffeID}')" "$1" "$2" <<'PYTHON'
import datetime, json, sys, urllib.request, uuid
decide, token, agent, effect, severity = sys.argv[1:]
body = {"id": str(uuid.uuid4()), "source": "soc", "subject": {"agent": agent},
        "kind": "soc/exfiltration", "severity": int(severity),
        "observed": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "lifetime": "PT1H", "effect": effect, "why": "it sends more than it reads"}
request = urllib.request.Request(f"http://{decide}/signals/v1", json.dumps(body).encode(),
    {"content-type": "application/json", "authorization": "Bearer " + open(token).read().strip()})
print(urllib.request.urlopen(request, timeout=10).read().decode())
PYTHON
}

risk_rises() {
  chapter "The task's risk rises"
  command_line curl "http://$decide/signals/v1" -d '{"subject": {"agent": "…/invoice-reader/…"}, "kind": "soc/exfiltration", "severity": 90, …}'
  signal risk 90
  request /invoices/2026/11/7
  [ -n "$decision" ] || die "it was allowed in spite of its risk"
  patiently run_why "$decision"
  command_line kubectl countersign why "$decision"
  cat "$work/why"
  tell "Over the threshold the certificate goes too, until the risk has fallen or a person says so:"
  run kubectl wait -n "$namespace" agid/invoice-reader --for=condition=Suspended --timeout=10s
  run kubectl get agid/invoice-reader -n "$namespace" -o jsonpath='{.status.risk}{"\n"}'
  run kubectl get secrets -n "$namespace"
}

# What is allowed or denied is on record a moment later.
run_why() { "$countersign_binary" why "$1" --audit "sqlite:$work/audit.db" >"$work/why" 2>&1 || { cat "$work/why" >&2; return 1; }; }

risk_falls() {
  chapter "A false alarm: taken back, and the agent is back"
  signal clear 0
  run kubectl wait -n "$namespace" agid/invoice-reader --for=condition=Ready --timeout=20s
  run kubectl wait -n "$namespace" deleg/planner-to-reader deleg/reader-to-writer --for=condition=Ready --timeout=20s
  connect
  request /invoices/2026/11/7
  [ -z "$decision" ] || die "it is denied still"
}

revoke_the_root() {
  chapter "The root is revoked, and everything below it ends"
  run_countersign revoke delegation alice-to-planner -n "$namespace" --yes
  tell "The reader's connection is still open:"
  request /invoices/2026/11/7
  [ -n "$decision" ] || die "it was allowed though the root is revoked"
  patiently run_why "$decision"
  command_line kubectl countersign why "$decision"
  cat "$work/why"
  run kubectl get deleg -n "$namespace" -o wide
  tell "A verifier that has the chain still, and the newest lists:"
  local address partition lists=()
  address=$(until_found "$work/operator.log" 's/.*serving bundles and revocation lists.*address=\([^ ]*\).*/\1/p')
  for partition in $(seq 0 15); do
    fetch "http://$address/revocations/example.org/statements/$partition" >"$work/list-$partition.jwt"
    lists+=(--revocations "list-$partition.jwt")
  done
  if beside run_countersign verify --chain chain.yaml --bundle bundle.json --trust-domain example.org "${lists[@]}"; then
    die "a revoked chain was accepted"
  fi
}

read_the_log() {
  chapter "The log: honest, and not"
  tell "What was recorded is signed within five seconds, and the newest checkpoint is kept in the cluster."
  patiently kubectl get configmap/countersign-audit-checkpoints -n "$system" -o name
  run_countersign audit verify --audit "sqlite:$work/audit.db"
  tell "Somebody with all rights on a copy of the database makes the first certificate somebody else's:"
  cp "$work/audit.db" "$work/tampered.db"
  [ ! -f "$work/audit.db-wal" ] || cp "$work/audit.db-wal" "$work/tampered.db-wal"
  python3 - "$work/tampered.db" <<'PYTHON'
import sqlite3, sys
log = sqlite3.connect(sys.argv[1])
log.execute("UPDATE records SET body = replace(body, '\"owner\":\"alice\"', '\"owner\":\"mallory\"') WHERE seq = 1")
log.commit()
PYTHON
  if run_countersign audit verify --audit "sqlite:$work/tampered.db"; then
    die "a tampered log was called honest"
  fi
}

complete_job() {
  chapter "The Job completes, and the credential is gone"
  local pod
  pod=$(kubectl get pods -n "$namespace" -l batch.kubernetes.io/job-name=reconcile-2026-11 -o name)
  # shellcheck disable=SC1083
  kubectl get "job/reconcile-2026-11" -n "$namespace" --watch \
    -o jsonpath='{.status.conditions[?(@.type=="Complete")].status}{"\n"}' > >(stamp >"$work/job.events") &
  background+=("$!")
  kubectl get secret/invoice-reader-identity -n "$namespace" --watch --output-watch-events \
    -o jsonpath='{.type}{"\n"}' > >(stamp >"$work/secret.events") &
  background+=("$!")
  until_found "$work/job.events" '/./p' >/dev/null
  until_found "$work/secret.events" '/ADDED/p' >/dev/null
  tell "Its pod ends well; here that is one write to the pod's status, as a kubelet makes it."
  run kubectl patch "$pod" -n "$namespace" --subresource=status --type=merge -p '{"status":{"phase":"Succeeded"}}'
  local complete gone
  complete=$(until_found "$work/job.events" 's/^\([0-9]*\) True$/\1/p')
  gone=$(until_found "$work/secret.events" 's/^\([0-9]*\) DELETED$/\1/p')
  echo "Job Complete → Secret gone: $(((gone - complete) / 1000)) ms, as two watches of kubectl saw it"
  run kubectl wait -n "$namespace" agid/invoice-reader --for=condition=Completed --timeout=10s
  run kubectl get agid -n "$namespace" -o wide
  run kubectl get secrets -n "$namespace"
  tell "Why: $(condition invoice-reader Completed '{.reason}: {.message}')"
}

delete_job() {
  chapter "The other Job is deleted"
  run kubectl delete job/ledger-2026-11 -n "$namespace"
  run kubectl wait -n "$namespace" agid/ledger --for=condition=Completed --timeout=10s
  run kubectl get agid,secrets -n "$namespace"
}

# --- how it is told ----------------------------------------------------------------------------

chapter() { printf '\n%s— %s —%s\n' "$bold" "$1" "$plain"; }

tell() { printf '%s\n' "$1"; }

# Prints a command as one would type it.
command_line() {
  local word line='$'
  for word in "$@"; do
    case $word in
      *[\ \{\}\"\[\]]*) line+=" '$word'" ;;
      *) line+=" $word" ;;
    esac
  done
  printf '%s%s%s\n' "$dim" "$line" "$plain"
}

run() {
  command_line "$@"
  "$@"
}

# kubectl countersign, from the build.
run_countersign() {
  command_line kubectl countersign "$@"
  "$countersign_binary" "$@"
}

fetch() {
  python3 -c 'import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())' "$1"
}

# Runs something in the folder of the agents' files.
beside() { (cd "$work" && "$@"); }

# A kind or a policy that was just made isn't served or enforced for a moment.
patiently() {
  local tries=0
  until "$@" 2>"$work/stderr"; do
    [ $((tries += 1)) -lt 50 ] || die "$(cat "$work/stderr")"
    sleep 0.2
  done
}

run_patiently() {
  command_line "$@"
  patiently "$@"
}

# Microseconds of the epoch in front of each line.
stamp() {
  local line
  while IFS= read -r line; do
    printf '%s %s\n' "${EPOCHREALTIME/[.,]/}" "$line"
  done
}

# until_found FILE SED: what the sed script prints, as soon as it prints something.
until_found() {
  local found tries=0
  until found=$(sed -n "$2" "$1" 2>/dev/null | head -n 1) && [ -n "$found" ]; do
    [ $((tries += 1)) -le 400 ] || die "not seen within 20 s: $2 in $(cat "$1")"
    sleep 0.05
  done
  printf '%s\n' "$found"
}

# --- what it looks at --------------------------------------------------------------------------

have_kinds() {
  [ -n "$(kubectl get --ignore-not-found -o name crd/agentidentities.countersign.dev)" ]
}

condition() {
  kubectl get "agid/$1" -n "$namespace" -o jsonpath="{range .status.conditions[?(@.type==\"$2\")]}$3{end}"
}

delegation_condition() {
  kubectl get "deleg/$1" -n "$namespace" -o jsonpath="{range .status.conditions[?(@.type==\"$2\")]}$3{end}"
}

serial() {
  kubectl get "agid/$1" -n "$namespace" -o jsonpath='{.status.certificate.serialNumber}'
}

# The files of an agent's Secret, as its pod would see them.
mount_secret() {
  local file
  (umask 077 && mkdir -p "$work/$1")
  for file in tls.crt tls.key ca.crt; do
    kubectl get "secret/$1-identity" -n "$namespace" -o go-template="{{index .data \"$file\" | base64decode}}" >"$work/$1/$file"
  done
}

# The published trust bundle.
bundle() {
  kubectl get configmap/example.org-bundle -n "$system" -o go-template='{{index .data "ca.crt"}}' >"$work/bundle.pem"
}

# --- the end -----------------------------------------------------------------------------------

stay() {
  chapter "Everything stays until Ctrl-C"
  cat <<EOT
  export KUBECONFIG=$KUBECONFIG
  export PATH=$(dirname "$(command -v kubectl)"):\$PATH
  kubectl get agid -A -o wide
  kubectl describe td example.org
  kubectl explain agid.spec
  kubectl apply --server-side -f examples/50-jobs.yaml   # the same names, other tasks
  tail -f $work/operator.log
EOT
  wait "$operator" || true
  tell "The operator has ended."
}

clean_up() {
  local code=$? pid
  trap '' INT TERM
  if [ "$code" != 0 ] && [ "$code" != 130 ] && [ -s "$work/operator.log" ]; then
    say "the operator's last words:"
    tail -n 20 "$work/operator.log" >&2
    [ ! -s "$work/decide.log" ] || { say "the decision point's:" && tail -n 20 "$work/decide.log" >&2; }
  fi
  # While the operator still runs, so that everything ends as it should.
  [ -n "${THROWAWAY:-}" ] || remove story
  hang_up # or it would be waited for
  for pid in "${background[@]}" $operator; do
    kill "$pid" 2>/dev/null || true
  done
  wait
  [ -n "${THROWAWAY:-}" ] || remove kinds "$system"
  rm -rf "$work"
  exit "$code"
}

# remove THING…: those of them that were made here.
remove() {
  local thing
  for thing in "$@"; do
    case " ${made[*]} " in *" $thing "*) ;; *) continue ;; esac
    say "Removing $thing…"
    case $thing in
      story) set -- -f examples/30-namespace.yaml -f examples/20-owner.yaml -f examples/10-trust-domain.yaml ;;
      kinds) set -- -f crds/ ;;
      *) set -- "namespace/$thing" clustertrustbundle/countersign.dev:agent:example.org ;;
    esac
    kubectl delete --ignore-not-found "$@" >&2 || true
  done
}

trap clean_up EXIT
trap 'exit 130' INT TERM
main

#!/usr/bin/env bash
# Checks the charts and the GitOps files: rendered, linted, compared with what they come from, and installed
# into a control plane of their own, upgraded and uninstalled. UPDATE=1 writes what is generated anew.
#
#   hack/charts.sh          all of it
#   hack/charts.sh quick    what wants no control plane: a part of `make test`
#   hack/charts.sh tools    builds what `quick` needs and does nothing else
#   hack/charts.sh helm     builds Helm alone and prints where it is
#
# PROGRAMS names a folder that has our programs, built; otherwise they are built first.
#
# Helm, kube-score and kubeconform are Go programs, built once into ~/.cache/countersign/tools.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/tools.sh
. hack/tools.sh

HELM_VERSION=v4.3.1
KUBE_SCORE_VERSION=v1.20.0
KUBECONFORM_VERSION=v0.8.0
# Whose CRDs the monitors and rules are checked against.
PROMETHEUS_OPERATOR_VERSION=v0.85.0

system=countersign-system
# What the value sets are for, some of which an older one is refused.
kubernetes=1.37.0
charts=(charts/countersign-crds charts/countersign)
rendered=$PWD/target/charts
live= # what came to be in the control plane, once it has
helm=$CACHE/tools/helm-$HELM_VERSION/helm
kube_score=$CACHE/tools/kube-score-$KUBE_SCORE_VERSION/kube-score
kubeconform=$CACHE/tools/kubeconform-$KUBECONFORM_VERSION/kubeconform
export CGO_ENABLED=0 GOWORK=off GOFLAGS=

main() {
  command -v go >/dev/null || die "Go 1.26 or newer is missing (https://go.dev/dl): Helm is built with it"
  if [ "${1:-}" = helm ]; then
    tool "$helm" "helm.sh/helm/v4/cmd/helm@$HELM_VERSION"
    printf '%s\n' "$helm"
    return
  fi
  tools
  [ "${1:-}" != tools ] || return 0
  # Helm keeps what it downloads and knows here, and not in the home folder.
  export HELM_CACHE_HOME=$rendered/helm HELM_CONFIG_HOME=$rendered/helm HELM_DATA_HOME=$rendered/helm

  render
  say "== compared with what they come from"
  # What is written anew shows once it is rendered again.
  [ -z "${UPDATE:-}" ] || { checks >/dev/null || true; unset UPDATE; render; }
  checks
  refuse_bad_values
  lint
  [ "${1:-}" = quick ] || install
  say "The charts are good ($SECONDS s)."
}

tools() {
  tool "$helm" "helm.sh/helm/v4/cmd/helm@$HELM_VERSION"
  tool "$kube_score" "github.com/zegl/kube-score/cmd/kube-score@$KUBE_SCORE_VERSION"
  compile_checks
}

# With what Helm was built of, so that little is left to compile.
compile_checks() { mkdir -p "$rendered" && (cd tests/charts && go test -c -trimpath -o "$rendered/charts.test" .); }

# checks ARGUMENTS…: those in tests/charts.
checks() { (cd tests/charts && RENDERED=$rendered LIVE=$live "$rendered/charts.test" "$@"); }

# tool PROGRAM MODULE@VERSION: builds it once.
tool() {
  [ ! -x "$1" ] || return 0
  say "Building ${1##*/}, once (minutes)…"
  GOBIN=${1%/*} go install -trimpath -ldflags '-s -w' "$2"
}

value_sets() { printf '%s\n' charts/countersign/ci/*-values.yaml; }

render() {
  say "== rendered"
  mkdir -p "$rendered"
  "$helm" template countersign-crds charts/countersign-crds -n "$system" >"$rendered/countersign-crds.yaml"
  "$helm" template countersign charts/countersign -n "$system" >"$rendered/default.yaml"
  local values set
  while read -r values; do
    set=${values##*/}
    "$helm" template countersign charts/countersign -n "$system" --kube-version "$kubernetes" -f "$values" >"$rendered/${set%-values.yaml}.yaml"
  done < <(value_sets)
}

lint() {
  say "== helm lint"
  "$helm" lint --strict --quiet "${charts[@]}"
  local values
  while read -r values; do
    "$helm" lint --strict --quiet --kube-version "$kubernetes" charts/countersign -f "$values"
  done < <(value_sets)
  say "== kube-score"
  # A CPU limit would throttle what must end in time; tags are of releases and don't move.
  local set
  for set in default postgresql rights everything; do
    "$kube_score" score --kubernetes-version v1.36 --ignore-container-cpu-limit --ignore-test container-image-pull-policy \
      --output-format ci "$rendered/$set.yaml" >"$rendered/score.log" ||
      die "kube-score: $(grep -E '^\[(CRITICAL|WARNING)' "$rendered/score.log")"
  done
}

# refused EXPECTED ARGUMENTS…: rendering fails and says so.
refused() {
  local expected=$1
  shift
  if "$helm" template countersign charts/countersign -n "$system" --kube-version "$kubernetes" "$@" >/dev/null 2>"$rendered/refused.log"; then
    die "rendered, though it should have been refused: $*"
  fi
  grep -qF -- "$expected" "$rendered/refused.log" || die "$*: expected «$expected», got: $(cat "$rendered/refused.log")"
}

refuse_bad_values() {
  say "== bad values are refused"
  local decide=(--set decide.enabled=true --set decide.tls.secretName=t)
  local asked=("${decide[@]}" --set 'decide.tokens[0].name=a' --set 'decide.tokens[0].secretName=a')
  refused "at '/operator/replicas': maximum: got 2, want 1" --set operator.replicas=2
  refused "audit.postgreSQL.secretName" --set audit.store=PostgreSQL
  refused "value must be one of 'SQLite', 'PostgreSQL'" --set audit.store=MySQL
  refused "leave secretNamespaces empty" --set allSecretNamespaces=true --set 'secretNamespaces={a}'
  refused "at '/secretNamespaces/0'" --set 'secretNamespaces={*}'
  refused "additional properties 'replica' not allowed" --set operator.replica=1
  refused "must be 0 (for good) or at least 2" --set audit.retentionDays=1
  refused "nothing is sealed without audit.retentionDays" --set audit.segmentDays=7
  refused "decide.tls.secretName" --set decide.enabled=true
  refused "nobody may ask" "${decide[@]}"
  refused "not both" "${asked[@]}" --set decide.callerCA.secretName=a --set decide.callerCA.configMapName=b
  refused "name in decide.peerCA" "${asked[@]}" --set decide.callerCA.configMapName=b --set decide.peers.tokenSecretName=p
  refused "is there twice" "${asked[@]}" --set 'decide.tokens[1].name=a' --set 'decide.tokens[1].secretName=b'
  refused "the name of the replicas" "${asked[@]}" --set 'decide.tokens[0].name=countersign-decide'
  refused "value must be one of 'vouches', 'authoritative', 'reports'" "${asked[@]}" --set 'decide.tokens[0].rights={admin}'
  refused "at '/decide/callers/0/spiffeID'" "${decide[@]}" --set 'decide.callers[0].spiffeID=spiffe://*'
  refused "is polled with a token" "${asked[@]}" --set 'decide.transmitters[0].issuer=https://i.example' \
    --set 'decide.transmitters[0].audience=us' --set 'decide.transmitters[0].poll=https://i.example/poll'
  refused "name the issuing endpoint in inject.issuer" --set inject.enabled=true
  refused "at '/issue/owners/0/resources/0'" --set 'issue.owners[0].apiGroup=apps' --set 'issue.owners[0].resources={*}'
  refused "at '/inject/log/filter'" --set 'inject.log.filter=a"b'
  refused "at '/image/digest'" --set image.digest=latest
  refused "can't show Prometheus's own token" --set monitoring.enabled=true --set monitoring.kind=PodMonitor
  refused "without metrics.secure metrics are plain HTTP" --set metrics.secure=false --set metrics.tls.secretName=a
  refused "at '/metrics/readers/0': missing property 'namespace'" --set 'metrics.readers[0].name=a'
  refused "at '/operator/workers': maximum: got 5,000, want 1,024" --set operator.workers=5000
  refused "at '/extraEnv/0/name': 'not' failed" --set 'extraEnv[0].name=POD_NAME' --set 'extraEnv[0].value=x'
  refused "at '/dnsPolicy'" --set dnsPolicy=None
  refused "inject.enabled: sidecars read a ClusterTrustBundle" --kube-version 1.36.4 --set inject.enabled=true --set issue.enabled=true
  refused "issue.podCertificates: PodCertificateRequests take" --kube-version 1.36.4 --set issue.enabled=true --set issue.podCertificates=true
  refused "chart requires kubeVersion: >=1.36.0-0" --kube-version 1.35.0
}

install() {
  tool "$kubeconform" "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM_VERSION"
  rm -rf "$rendered/live"
  say "== installed, upgraded and uninstalled"
  if [ -z "${PROGRAMS:-}" ]; then
    need_rust
    cargo build --workspace --locked --bins
  fi
  need openssl openssl
  local crds
  crds=$(go mod download -json "github.com/prometheus-operator/prometheus-operator@$PROMETHEUS_OPERATOR_VERSION" |
    sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')/example/prometheus-operator-crd
  "${PROGRAMS:-target/debug}/countersign-testbed" run -- env HELM="$helm" hack/charts_install.sh
  "${PROGRAMS:-target/debug}/countersign-testbed" run -- env HELM="$helm" KUBECONFORM="$kubeconform" RENDERED="$rendered" LIVE="$rendered/live" PROMETHEUS_CRDS="$crds" hack/charts_cluster.sh
  say "== as GitOps tools see it"
  live=$rendered/live
  checks -test.run TestLive
}

main "$@"

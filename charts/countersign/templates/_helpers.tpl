{{- define "countersign.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "countersign.labels" -}}
app.kubernetes.io/part-of: countersign
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Labels that select pods; they never change. Takes [root, component]. */}}
{{- define "countersign.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of pods: without the chart's version, which would restart them. Takes [root, component]. */}}
{{- define "countersign.podLabels" -}}
app.kubernetes.io/part-of: countersign
{{ include "countersign.selector" . }}
{{- end -}}

{{- define "countersign.operatorAccount" -}}
{{ default (include "countersign.fullname" .) .Values.operator.serviceAccount.name }}
{{- end -}}

{{- define "countersign.decideAccount" -}}
{{ default (printf "%s-decide" (include "countersign.fullname" .)) .Values.decide.serviceAccount.name }}
{{- end -}}

{{- define "countersign.issueAccount" -}}
{{ default (printf "%s-issue" (include "countersign.fullname" .)) .Values.issue.serviceAccount.name }}
{{- end -}}

{{- define "countersign.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A database on a volume has one writer; with PostgreSQL another replica stands by. */}}
{{- define "countersign.operatorReplicas" -}}
{{- if kindIs "invalid" .Values.operator.replicas -}}
{{ ternary 1 2 (eq .Values.audit.store "SQLite") }}
{{- else -}}
{{ .Values.operator.replicas }}
{{- end -}}
{{- end -}}

{{/* Is there a volume for each pod: of its database, or of its sealed records? */}}
{{- define "countersign.auditVolume" -}}
{{- if or (eq .Values.audit.store "SQLite") (gt (int .Values.audit.retentionDays) 0) }}true{{ end -}}
{{- end -}}

{{/* Which records leave the database, and which files the volume. */}}
{{- define "countersign.sealing" -}}
{{- with .Values.audit.retentionDays -}}
- --audit-retention-days={{ . }}
- --audit-segments=/var/lib/countersign/segments
{{- with $.Values.audit.segmentDays }}
- --audit-segment-days={{ . }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* What all components' pods have in common. Takes [root, component's values, component]. */}}
{{- define "countersign.podSpec" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
automountServiceAccountToken: true
enableServiceLinks: false
{{- if $root.Values.hostNetwork }}
hostNetwork: true
{{- end }}
{{- with $root.Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
terminationGracePeriodSeconds: {{ $it.terminationGracePeriodSeconds }}
{{- with $it.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with $root.Values.podSecurity }}
  {{- range $key := list "runAsUser" "runAsGroup" "fsGroup" }}
  {{- if not (kindIs "invalid" (index $root.Values.podSecurity $key)) }}
  {{ $key }}: {{ index $root.Values.podSecurity $key | int64 }}
  {{- end }}
  {{- end }}
  {{- if not (kindIs "invalid" .fsGroup) }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- with $it.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $it.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $it.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $it.affinity }}
affinity:
  {{- toYaml $it.affinity | nindent 2 }}
{{- else if eq $it.antiAffinity "Required" }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "countersign.selector" (list $root (index . 2)) | nindent 12 }}
{{- else if eq $it.antiAffinity "Preferred" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "countersign.selector" (list $root (index . 2)) | nindent 14 }}
{{- end }}
{{- end -}}

{{- define "countersign.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Who the replica is, and where the audit log is. The name of a StatefulSet's pod is the same after a
     restart, and no other pod's: what a chain of the audit log wants of its writer. */}}
{{- define "countersign.env" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: COUNTERSIGN_AUDIT
  {{- if eq .Values.audit.store "SQLite" }}
  value: sqlite:/var/lib/countersign/audit.db
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.audit.postgreSQL.secretName }}
      key: {{ .Values.audit.postgreSQL.key }}
  {{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "countersign.volumeClaim" -}}
- metadata:
    name: audit
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .Values.audit.volume.storageClassName }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .Values.audit.volume.size }}
{{- end -}}

{{/* Where metrics are served, and the probes' pages. Takes [root, port of metrics, port of probes]. */}}
{{- define "countersign.metricsArgs" -}}
{{- $root := index . 0 -}}
- --metrics-listen={{ $root.Values.listenAddress }}:{{ index . 1 }}
{{- if $root.Values.metrics.secure }}
- --metrics-secure
- --health-listen={{ $root.Values.listenAddress }}:{{ index . 2 }}
{{- if $root.Values.metrics.tls.secretName }}
- --metrics-tls-cert=/etc/countersign/metrics/tls.crt
- --metrics-tls-key=/etc/countersign/metrics/tls.key
{{- end }}
{{- end }}
{{- end -}}

{{/* Takes the same. */}}
{{- define "countersign.metricsPorts" -}}
- name: metrics
  containerPort: {{ index . 1 }}
{{- if (index . 0).Values.metrics.secure }}
- name: health
  containerPort: {{ index . 2 }}
{{- end }}
{{- end -}}

{{/* The name of the port that kubelets ask. */}}
{{- define "countersign.healthPort" -}}
{{ ternary "health" "metrics" .Values.metrics.secure }}
{{- end -}}

{{/* Is there a Secret with the certificate for metrics? */}}
{{- define "countersign.metricsVolume" -}}
{{- if and .Values.metrics.secure .Values.metrics.tls.secretName }}true{{ end -}}
{{- end -}}

{{- define "countersign.metricsMount" -}}
- name: metrics-tls
  mountPath: /etc/countersign/metrics
  readOnly: true
{{- end -}}

{{- define "countersign.metricsSecret" -}}
- name: metrics-tls
  secret:
    secretName: {{ .Values.metrics.tls.secretName }}
    defaultMode: 0440
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
{{- end -}}

{{/* Names and the API server; ports are all that can be told of a Service's backends. */}}
{{- define "countersign.egress" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
    {{- if eq .Values.audit.store "PostgreSQL" }}
    - port: {{ .Values.audit.postgreSQL.port }}
      protocol: TCP
    {{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where the operator's lists are, for (list . .Values.decide) or another that has lists and listURLs. */}}
{{- define "countersign.lists" -}}
{{- $root := index . 0 -}}
{{- $of := index . 1 -}}
{{- if and $of.lists $of.listURLs -}}
{{- range $of.listURLs }}
- --lists={{ . }}
{{- end }}
{{- else if and $of.lists $root.Values.operator.publish.enabled -}}
# Of each replica of the operator: the one that leads answers.
{{- $operator := printf "%s-operator" (include "countersign.fullname" $root) }}
{{- range $index := until (int (include "countersign.operatorReplicas" $root)) }}
- --lists=http://{{ $operator }}-{{ $index }}.{{ $operator }}.{{ $root.Release.Namespace }}.svc:8081
{{- end }}
{{- end }}
{{- end -}}

{{/* What the schema can't say. */}}
{{- define "countersign.check" -}}
{{- if semverCompare "<1.37.0-0" .Capabilities.KubeVersion.Version -}}
{{- if .Values.inject.enabled -}}
{{- fail (printf "inject.enabled: sidecars read a ClusterTrustBundle, which takes Kubernetes 1.37; this is %s" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if .Values.issue.podCertificates -}}
{{- fail (printf "issue.podCertificates: PodCertificateRequests take Kubernetes 1.37; this is %s" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.inject.enabled (not .Values.issue.enabled) (not .Values.inject.issuer) -}}
{{- fail "inject.enabled: name the issuing endpoint in inject.issuer, or enable issue" -}}
{{- end -}}
{{- if and .Values.allSecretNamespaces .Values.secretNamespaces -}}
{{- fail "allSecretNamespaces is every namespace: leave secretNamespaces empty, or set allSecretNamespaces to false" -}}
{{- end -}}
{{- if and (eq .Values.audit.store "PostgreSQL") (not .Values.audit.postgreSQL.secretName) -}}
{{- fail "audit.store is PostgreSQL: name the Secret with its URL in audit.postgreSQL.secretName" -}}
{{- end -}}
{{- if and .Values.metrics.tls.secretName (not .Values.metrics.secure) -}}
{{- fail "metrics.tls: without metrics.secure metrics are plain HTTP; leave metrics.tls.secretName empty" -}}
{{- end -}}
{{- if and .Values.monitoring.enabled .Values.metrics.secure (eq .Values.monitoring.kind "PodMonitor") (not .Values.monitoring.tokenSecret.name) -}}
{{- fail "monitoring.kind is PodMonitor, which can't show Prometheus's own token: name a Secret with a token in monitoring.tokenSecret.name" -}}
{{- end -}}
{{- if eq (int .Values.audit.retentionDays) 1 -}}
{{- fail "audit.retentionDays must be 0 (for good) or at least 2" -}}
{{- end -}}
{{- if and .Values.audit.segmentDays (not .Values.audit.retentionDays) -}}
{{- fail "audit.segmentDays: nothing is sealed without audit.retentionDays" -}}
{{- end -}}
{{- if .Values.decide.enabled -}}
{{- with .Values.decide -}}
{{- if not .tls.secretName -}}
{{- fail "decide.enabled: questions are asked over TLS; name the Secret with tls.crt and tls.key in decide.tls.secretName" -}}
{{- end -}}
{{- if and .callerCA.secretName .callerCA.configMapName -}}
{{- fail "decide.callerCA: give secretName or configMapName, not both" -}}
{{- end -}}
{{- if and .peers.tokenSecretName .callerCA.configMapName (not .peerCA.secretName) -}}
{{- fail "decide.peers: name in decide.peerCA whose certificates replicas have; a trust domain's roots sign no names of servers" -}}
{{- end -}}
{{- if not (or .callers .tokens) -}}
{{- fail "decide.enabled: nobody may ask; give decide.callers or decide.tokens" -}}
{{- end -}}
{{- $names := list -}}
{{- range .tokens -}}
{{- if eq .name "countersign-decide" -}}
{{- fail "decide.tokens: countersign-decide is the name of the replicas: call the token something else" -}}
{{- end -}}
{{- if has .name $names -}}
{{- fail (printf "decide.tokens: %s is there twice" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- range .transmitters -}}
{{- if and .poll (not .tokenSecretName) -}}
{{- fail (printf "decide.transmitters: %s is polled with a token: name its Secret in tokenSecretName" .issuer) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "quintet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* The release's name where it says "quintet" already, as Helm's own charts do. */}}
{{- define "quintet.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "quintet.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "quintet.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "quintet.selectorLabels" -}}
app.kubernetes.io/name: {{ include "quintet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "quintet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "quintet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: quintet
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "quintet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "quintet.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* Takes (dict "image" IMAGE "root" $). */}}
{{- define "quintet.image" -}}
{{- with .image.registry }}{{ . }}/{{ end }}{{ .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ default .root.Chart.AppVersion .image.tag }}{{ end }}
{{- end }}

{{- define "quintet.embeddedStores" -}}
{{- if or .Values.stores.redis.enabled .Values.stores.postgres.enabled }}true{{ end }}
{{- end }}

{{- /* Whether resources are handed stores: the release's own, or those that the given Secret names. */}}
{{- define "quintet.hasStores" -}}
{{- if or (include "quintet.embeddedStores" .) .Values.stores.existingSecret }}true{{ end }}
{{- end }}

{{- define "quintet.storesSecret" -}}
{{- .Values.stores.existingSecret | default (printf "%s-stores" (include "quintet.fullname" .)) }}
{{- end }}

{{- /* Takes (dict "root" $ "store" NAME). */}}
{{- define "quintet.storeSelector" -}}
app.kubernetes.io/name: {{ include "quintet.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .store }}
{{- end }}

{{- /* Of what has a time to live, the shortest-lived goes first: caches before results, results before data sets; jobs have none and stay. */}}
{{- define "quintet.redis" -}}
command: [redis-server]
args:
  - --dir
  - /data
  - --appendonly
  - "yes"
  - --maxmemory
  - {{ .Values.stores.redis.maxMemory }}
  - --maxmemory-policy
  - volatile-ttl
  - --protected-mode
  - "no"
  - --requirepass
  - $(REDISCLI_AUTH)
env:
  - name: REDISCLI_AUTH
    valueFrom: { secretKeyRef: { name: {{ include "quintet.storesSecret" . }}, key: redis-password } }
startupProbe:
  exec: { command: [redis-cli, --no-auth-warning, ping] }
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 300
readinessProbe:
  exec: { command: [redis-cli, --no-auth-warning, ping] }
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  tcpSocket: { port: redis }
  periodSeconds: 10
  timeoutSeconds: 5
{{- end }}

{{- define "quintet.postgres" -}}
args:
  {{- range $name, $value := .Values.stores.postgres.settings }}
  - -c
  - {{ printf "%s=%v" $name $value | quote }}
  {{- end }}
env:
  - { name: POSTGRES_USER, value: quintet }
  - { name: POSTGRES_DB, value: quintet }
  - { name: PGDATA, value: /data/pgdata }
  - name: POSTGRES_PASSWORD
    valueFrom: { secretKeyRef: { name: {{ include "quintet.storesSecret" . }}, key: postgres-password } }
startupProbe:
  exec: { command: [pg_isready, -q, -h, 127.0.0.1, -U, quintet] }
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 300
readinessProbe:
  exec: { command: [pg_isready, -q, -h, 127.0.0.1, -U, quintet] }
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  tcpSocket: { port: postgres }
  periodSeconds: 10
  timeoutSeconds: 5
{{- end }}

{{/* Of controllers and activators, which answer the same pages. */}}
{{- define "quintet.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: http }
  {{- toYaml .Values.probes.startup | nindent 2 }}
livenessProbe:
  httpGet: { path: /healthz, port: http }
  {{- toYaml .Values.probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: { path: /readyz, port: http }
  {{- toYaml .Values.probes.readiness | nindent 2 }}
{{- end }}

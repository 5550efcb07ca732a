{{- define "rota.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "rota.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "rota.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "rota.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "rota.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "rota.selector" -}}
app.kubernetes.io/name: {{ include "rota.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rota.labels" -}}
{{ include "rota.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rota.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* "true" if something other than the pod itself can reach Rota. */}}
{{- define "rota.exposed" -}}
{{- if or .Values.server.tls.existingSecret .Values.server.trustedProxies -}}true{{- end -}}
{{- end -}}

{{/* "true" if the volume holds the database or the master key. */}}
{{- define "rota.usesVolume" -}}
{{- if and .Values.persistence.enabled (or (not .Values.database.existingSecret) (not (include "rota.providedKey" .))) -}}true{{- end -}}
{{- end -}}

{{- define "rota.providedKey" -}}
{{- if or .Values.masterKey.url .Values.masterKey.existingSecret -}}true{{- end -}}
{{- end -}}

{{/* "true" if Rota logs in to the API server. */}}
{{- define "rota.automount" -}}
{{- if kindIs "bool" .Values.serviceAccount.automount -}}
{{- .Values.serviceAccount.automount -}}
{{- else -}}
{{- or .Values.controller.enabled (not (empty .Values.rbac.clusterRules)) (not (empty .Values.rbac.namespaces)) -}}
{{- end -}}
{{- end -}}

{{/* The configuration in .Values.config as a mapping, whichever form it has. */}}
{{- define "rota.configMapping" -}}
{{- if kindIs "string" .Values.config -}}
{{- $parsed := fromYaml .Values.config -}}
{{- if hasKey $parsed "Error" -}}
{{- fail (printf "config: the text isn't a YAML mapping: %s" $parsed.Error) -}}
{{- end -}}
{{- toYaml $parsed -}}
{{- else -}}
{{- $config := deepCopy (default (dict "secrets" list) .Values.config) -}}
{{- $server := default dict $config.server -}}
{{- if and .Values.server.tls.existingSecret (not (hasKey $server "tls")) -}}
{{- $_ := set $server "tls" (dict "cert" "/etc/rota/tls/tls.crt" "key" "/etc/rota/tls/tls.key") -}}
{{- end -}}
{{- if and .Values.server.trustedProxies (not (hasKey $server "trusted_proxies")) -}}
{{- $_ := set $server "trusted_proxies" .Values.server.trustedProxies -}}
{{- end -}}
{{- if $server -}}
{{- $_ := set $config "server" $server -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
{{- end -}}

{{/* The configuration as it goes into the ConfigMap: a text stays as it is. */}}
{{- define "rota.config" -}}
{{- if kindIs "string" .Values.config -}}{{ .Values.config }}{{- else -}}{{ include "rota.configMapping" . }}{{- end -}}
{{- end -}}

{{- define "rota.configVolume" -}}
{{- if .Values.existingConfigSecret -}}
secret: {secretName: {{ .Values.existingConfigSecret | quote }}, defaultMode: 0440}
{{- else -}}
configMap: {name: {{ default (include "rota.fullname" .) .Values.existingConfigMap | quote }}}
{{- end -}}
{{- end -}}

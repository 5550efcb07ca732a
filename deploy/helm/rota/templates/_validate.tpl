{{/* What a schema can't say. Each refusal names what to set instead. */}}
{{- define "rota.validate" -}}
{{- $v := .Values -}}
{{- $several := gt (int $v.replicas) 1 -}}
{{- if and $v.existingConfigMap $v.existingConfigSecret -}}
{{- fail "existingConfigMap and existingConfigSecret: rota.yaml can be in one of them only; leave one out" -}}
{{- end -}}
{{- if and $several (not $v.database.existingSecret) -}}
{{- fail (printf "replicas: %d replicas can't share SQLite; set database.existingSecret to a Secret with the URL of a PostgreSQL database, or replicas to 1" (int $v.replicas)) -}}
{{- end -}}
{{- if and $several (not (include "rota.providedKey" .)) -}}
{{- fail (printf "replicas: %d replicas need the same master key; set masterKey.url to a key of a key management service, or masterKey.existingSecret to a Secret with the file rota.key" (int $v.replicas)) -}}
{{- end -}}
{{- if and $v.database.existingSecret (not (include "rota.providedKey" .)) (not $v.persistence.enabled) -}}
{{- fail "database: the master key would be lost with the pod, and the database with it; set masterKey.url or masterKey.existingSecret, or persistence.enabled to true" -}}
{{- end -}}
{{- if and $v.masterKey.url $v.masterKey.existingSecret -}}
{{- fail "masterKey: url and existingSecret are two keys; leave one out" -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled (not (include "rota.exposed" .)) -}}
{{- fail "serviceMonitor: Prometheus can't reach Rota; set server.tls.existingSecret, or server.trustedProxies" -}}
{{- end -}}
{{- if and (not $v.serviceAccount.create) (not $v.serviceAccount.name) (or $v.controller.enabled $v.rbac.clusterRules $v.rbac.namespaces) $v.rbac.create -}}
{{- fail "serviceAccount: the roles would be given to the namespace's default account, which other pods use; set serviceAccount.name, or serviceAccount.create to true" -}}
{{- end -}}
{{- range $place, $rules := dict "rbac.clusterRules" $v.rbac.clusterRules -}}
{{- include "rota.validateRules" (dict "place" $place "rules" $rules) -}}
{{- end -}}
{{- range $namespace, $rules := $v.rbac.namespaces -}}
{{- include "rota.validateRules" (dict "place" (printf "rbac.namespaces.%s" $namespace) "rules" $rules) -}}
{{- end -}}
{{- if and (kindIs "string" $v.config) (include "rota.exposed" .) (not $v.existingConfigMap) (not $v.existingConfigSecret) -}}
{{- $server := default dict (fromYaml (include "rota.configMapping" .)).server -}}
{{- if and $v.server.tls.existingSecret (not (hasKey $server "tls")) -}}
{{- fail "config: a text is taken as it is, and it has no server.tls; add server: {tls: {cert: /etc/rota/tls/tls.crt, key: /etc/rota/tls/tls.key}} to it" -}}
{{- end -}}
{{- if and $v.server.trustedProxies (not (hasKey $server "trusted_proxies")) -}}
{{- fail "config: a text is taken as it is, and it has no server.trusted_proxies; add them to it" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Rota needs no wildcard, so one is a slip. */}}
{{- define "rota.validateRules" -}}
{{- range .rules -}}
{{- if or (has "*" .verbs) (has "*" (default list .resources)) (has "*" (default list .apiGroups)) -}}
{{- fail (printf "%s: a rule with \"*\" allows more than rota.yaml needs; rota policy kubernetes --helm-values prints what it does need" $.place) -}}
{{- end -}}
{{- end -}}
{{- end -}}

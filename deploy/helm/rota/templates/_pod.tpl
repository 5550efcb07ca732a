{{/* What the daemon's container and that of helm test have in common. */}}
{{- define "rota.env" -}}
- {name: ROTA_CONFIG, value: /etc/rota/config/rota.yaml}
- {name: ROTA_DATA_DIR, value: /var/lib/rota/data}
- {name: ROTA_DATA_VOLUME, value: /var/lib/rota}
- {name: ROTA_LOG_FORMAT, value: {{ .Values.server.logFormat | quote }}}
- {name: ROTA_LOG_LEVEL, value: {{ .Values.server.logLevel | quote }}}
{{- if .Values.masterKey.url }}
- {name: ROTA_MASTER_KEY, value: {{ .Values.masterKey.url | quote }}}
{{- else if .Values.masterKey.existingSecret }}
- {name: ROTA_MASTER_KEY, value: "file:///etc/rota/master-key/rota.key"}
{{- end }}
{{- with .Values.database.existingSecret }}
- name: ROTA_DATABASE
  valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: {{ $.Values.database.key | quote }}}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rota.mounts" -}}
- {name: config, mountPath: /etc/rota/config, readOnly: true}
- {name: data, mountPath: /var/lib/rota}
- {name: tmp, mountPath: /tmp}
{{- if .Values.server.tls.existingSecret }}
- {name: tls, mountPath: /etc/rota/tls, readOnly: true}
{{- end }}
{{- if .Values.masterKey.existingSecret }}
- {name: master-key, mountPath: /etc/rota/master-key, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rota.volumes" -}}
- name: config
  {{- include "rota.configVolume" . | nindent 2 }}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- with .Values.server.tls.existingSecret }}
- name: tls
  secret: {secretName: {{ . | quote }}, defaultMode: 0440}
{{- end }}
{{- with .Values.masterKey.existingSecret }}
- name: master-key
  secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: {{ $.Values.masterKey.key | quote }}, path: rota.key}]}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A request from the kubelet where it can reach Rota, else a command in the pod. */}}
{{- define "rota.probe" -}}
{{- if include "rota.exposed" .root -}}
httpGet:
  path: {{ .path }}
  port: http
  scheme: {{ ternary "HTTPS" "HTTP" (not (empty .root.Values.server.tls.existingSecret)) }}
{{- else -}}
exec:
  command: [rota, health, --server, "http://127.0.0.1:{{ .root.Values.server.port }}"{{ if eq .path "/healthz" }}, --live{{ end }}]
{{- end -}}
{{- end -}}

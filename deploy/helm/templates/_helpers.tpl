{{/* The name of all objects; the longest suffix after it is -control. */}}
{{- define "framegate.name" -}}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) -}}
{{- .Values.fullnameOverride | default $name | trunc 55 | trimSuffix "-" -}}
{{- end }}

{{- define "framegate.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "framegate.labels" -}}
{{ include "framegate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* A map of variables, as text: toJson because 1000000 would become 1e+06. */}}
{{- define "framegate.variables" -}}
{{- range $name, $value := . }}
{{ $name }}: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}

{{- define "framegate.secretName" -}}
{{ .Values.existingSecret | default (include "framegate.name" .) }}
{{- end }}

{{/* Seconds: more than preStop, STOP_SECONDS and the 5 s that a stop may take after that. */}}
{{- define "framegate.gracePeriod" -}}
{{- $stop := .Values.config.STOP_SECONDS | default "1s" | toString -}}
{{- $units := dict "" 1 "ms" 0.001 "s" 1 "m" 60 "h" 3600 -}}
{{- $seconds := mulf (regexFind "^[0-9.]+" $stop) (get $units (regexFind "[a-z]*$" $stop)) | ceil | int -}}
{{- add $seconds (int .Values.preStopSeconds) 15 -}}
{{- end }}

{{- define "framegate.probe" -}}
exec: { command: [perl, nginx/healthz.pl, run/control/control.sock] }
timeoutSeconds: 3
{{- end }}

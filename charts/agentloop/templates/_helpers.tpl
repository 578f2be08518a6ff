{{- define "agentloop.labels" -}}
app.kubernetes.io/name: agentloop
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
{{- define "agentloop.selector" -}}
app.kubernetes.io/name: agentloop
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}
{{- /* Cluster-scoped names carry the release, so that two releases do not take each other's. */}}
{{- define "agentloop.operator" -}}
{{- printf "agentloop-operator-%s-%s" .Release.Namespace .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- /* CEL: whether a request is by the service account of a run's pod, and the uid of that pod. */}}
{{- define "agentloop.sidecar" -}}
"request.userInfo.username.matches('^system:serviceaccount:[^:]+:agentloop-run$')"
{{- end }}
{{- define "agentloop.pod" -}}
"request.userInfo.extra[?'authentication.kubernetes.io/pod-uid'].orValue([''])[0]"
{{- end }}

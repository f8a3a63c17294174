{{- define "trainandserve.pods" -}}
app.kubernetes.io/name: trainandserve
app.kubernetes.io/component: operator
{{- end }}

{{- define "trainandserve.labels" -}}
{{ include "trainandserve.pods" . }}
app.kubernetes.io/part-of: trainandserve
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "trainandserve.subject" -}}
- kind: ServiceAccount
  name: trainandserve
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "trainandserve.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* What the operator may do with resources and what serves them. */}}
{{- define "trainandserve.rights" -}}
- apiGroups: [trainandserve.io]
  resources: [trainandserves]
  verbs: [list, watch, patch]             # patch: the finalizer
- apiGroups: [trainandserve.io]
  resources: [trainandserves/status]
  verbs: [update]
- apiGroups: [trainandserve.io]
  resources: [trainandserves/finalizers]
  verbs: [update]                         # owner references that block deletion, where admission checks them
- apiGroups: [serving.kserve.io]
  resources: [inferenceservices]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch]                    # the proof of what serves
- apiGroups: [""]
  resources: [pods]
  verbs: [list]                           # why a run or a model server does not move
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* What executes runs. */}}
{{- define "trainandserve.workflows" -}}
- apiGroups: [argoproj.io]
  resources: [workflows]
  verbs: [list, watch, delete]            # delete: a Workflow without a run behind it
{{- end }}

{{/* What multi-user Kubeflow Pipelines ask the API server about the operator. */}}
{{- define "trainandserve.pipelines" -}}
- apiGroups: [pipelines.kubeflow.org]
  resources: [runs]
  verbs: [create, get, terminate]
- apiGroups: [pipelines.kubeflow.org]
  resources: [experiments]
  verbs: [create, list]
{{- end }}

{{- define "hantei.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "hantei.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "hantei.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "hantei.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* A ClusterRole has no namespace, and two releases may have the same name in two of them. */}}
{{- define "hantei.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "hantei.fullname" .) | trunc 100 | trimSuffix "-" }}
{{- end }}

{{- define "hantei.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "hantei.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "hantei.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hantei.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hantei.labels" -}}
{{ include "hantei.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* image (dict "image" VALUES "root" $): repository@digest, or repository:tag */}}
{{- define "hantei.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .root.Chart.AppVersion .image.tag }}
{{- end }}
{{- end }}

{{/* Pod Security restricted: (dict "user" UID "group" GID), each of which may be null */}}
{{- define "hantei.podSecurityContext" -}}
runAsNonRoot: true
{{- if not (kindIs "invalid" .user) }}
runAsUser: {{ .user | int64 }}
{{- end }}
{{- if not (kindIs "invalid" .group) }}
runAsGroup: {{ .group | int64 }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "hantei.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

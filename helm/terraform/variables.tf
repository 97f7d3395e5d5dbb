variable "name" {
  description = "Name of the release."
  type        = string
  default     = "quintet"
}

variable "namespace" {
  description = "Namespace of the controller."
  type        = string
  default     = "quintet-system"
}

variable "create_namespace" {
  description = "Create that namespace."
  type        = bool
  default     = true
}

variable "chart" {
  description = "Chart to install: a path, a name in `repository` or an oci:// reference. Left out, the chart beside this module."
  type        = string
  default     = null
}

variable "repository" {
  description = "Helm repository of the chart."
  type        = string
  default     = null
}

variable "chart_version" {
  description = "Version of the chart, where it comes from a repository."
  type        = string
  default     = null
}

variable "registry" {
  description = "Registry of the images of the controller and of every engine that names none."
  type        = string
  default     = null
}

variable "image_tag" {
  description = "Tag of those images. Left out, the version of the chart."
  type        = string
  default     = null
}

variable "engines" {
  description = "Images of engines by name: field, evolution, compression, matcher, copy."
  type = map(object({
    repository = string
    registry   = optional(string)
    tag        = optional(string)
    digest     = optional(string)
  }))
  default = {
    field = { repository = "quintet/field" }
  }

  validation {
    condition     = length(setsubtract(keys(var.engines), ["field", "evolution", "compression", "matcher", "copy"])) == 0
    error_message = "Engines are field, evolution, compression, matcher and copy."
  }
}

variable "replicas" {
  description = "Controllers: one reconciles, the others stand by."
  type        = number
  default     = null
}

variable "namespaces" {
  description = "Namespaces whose resources are reconciled; empty is the whole cluster."
  type        = set(string)
  default     = []
}

variable "service_monitor" {
  description = "Create a ServiceMonitor (needs the Prometheus Operator)."
  type        = bool
  default     = false
}

variable "network_policy" {
  description = "Restrict the controllers' traffic."
  type        = bool
  default     = false
}

variable "argocd" {
  description = "Create the ConfigMap with Argo CD's health checks and actions."
  type        = bool
  default     = false
}

variable "values" {
  description = "More values of the chart, as YAML documents; the later wins, over the variables too."
  type        = list(string)
  default     = []
}

variable "atomic" {
  description = "Undo an installation or upgrade that does not become ready."
  type        = bool
  default     = true
}

variable "timeout_seconds" {
  description = "How long an installation or upgrade may take to become ready."
  type        = number
  default     = 300
}

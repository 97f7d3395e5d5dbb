# Installs the chart as a Helm release.
terraform {
  required_version = ">= 1.5"

  required_providers {
    helm = {
      source  = "hashicorp/helm"
      version = ">= 2.12, < 4.0"
    }
  }
}

resource "helm_release" "quintet" {
  name             = var.name
  namespace        = var.namespace
  create_namespace = var.create_namespace

  chart      = local.chart
  repository = var.repository
  version    = var.chart_version

  values = concat([yamlencode(local.values)], var.values)

  atomic  = var.atomic
  wait    = true
  timeout = var.timeout_seconds
}

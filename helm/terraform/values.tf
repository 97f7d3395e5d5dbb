# What the variables say, as values of the chart. What is null is left to the chart.
locals {
  chart = coalesce(var.chart, "${path.module}/../quintet")

  image = { for key, value in { registry = var.registry, tag = var.image_tag } : key => value if value != null }

  engines = {
    for engine, image in var.engines : engine => {
      image = merge(local.image, { for key, value in image : key => value if value != null })
    }
  }

  values = merge(
    { for key, value in { image = local.image, engines = local.engines } : key => value if length(value) > 0 },
    { for key, value in { replicas = var.replicas } : key => value if value != null },
    {
      namespaces     = sort(var.namespaces)
      serviceMonitor = { enabled = var.service_monitor }
      networkPolicy  = { enabled = var.network_policy }
      argocd         = { enabled = var.argocd }
    },
  )
}

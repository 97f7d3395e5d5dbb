output "namespace" {
  description = "Namespace of the controller."
  value       = helm_release.quintet.namespace
}

output "release" {
  description = "Name of the release."
  value       = helm_release.quintet.name
}

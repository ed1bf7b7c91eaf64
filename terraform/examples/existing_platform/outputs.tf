output "platform" {
  description = "What stood before."
  value       = module.platform
}

output "worker" {
  description = "What was added; null without the worker."
  value       = one(module.ai_video[*])
}

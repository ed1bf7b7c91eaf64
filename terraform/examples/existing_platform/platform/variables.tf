variable "name" {
  description = "What everything is named after."
  type        = string
}

variable "redeploy_hash" {
  description = "The worker's output of this name; null where there is no worker."
  type        = string
}

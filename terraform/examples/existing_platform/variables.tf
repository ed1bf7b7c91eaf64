variable "region" {
  description = "Where everything stands."
  type        = string
  default     = "eu-central-1"
}

variable "name" {
  description = "What everything is named after."
  type        = string
  default     = "ai-video-example"
}

variable "with_worker" {
  description = "False is the platform as it was before, and as it is after."
  type        = bool
  default     = true
}

variable "package" {
  description = "Folder with what `make package` built."
  type        = string
  default     = "../../../build/package"
}

variable "architecture" {
  description = "That the package was built for."
  type        = string
  default     = "x86_64"
}

variable "python_version" {
  description = "That the package was built for."
  type        = string
  default     = "3.13"
}

variable "extra_environment" {
  description = "More variables of the function: where simulators of the vendors listen, for instance."
  type        = map(string)
  default     = {}
}

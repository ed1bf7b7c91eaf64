# Onto an HTTP API: one apply does everything, as its stage deploys by itself.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7.0"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

variable "package" {
  description = "Folder with what `make package` built."
  type        = string
  default     = "../../../build/package"
}

module "ai_video" {
  source = "../.."

  table     = { name = "video_metadata", partition_key = "video_id" }
  bucket    = { name = "our-platform-media", recordings_prefixes = ["uploads/"] }
  user_pool = { id = "eu-central-1_AbCdEfGhI", client_ids = ["1example23456789"] }
  http_api  = { id = "a1b2c3d4e5", authorizer_id = "f6g7h8" }

  function_archive = "${var.package}/function.zip"
  layer_archives   = ["${var.package}/layer-dependencies.zip", "${var.package}/layer-media.zip"]

  google_cloud_project = "our-project"
  veo_output_gcs_uri   = "gs://our-clips/ai-video"
}

output "put_secret_command" {
  description = "The one thing that is left to do by hand."
  value       = module.ai_video.put_secret_command
}

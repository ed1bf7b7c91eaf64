# Onto a REST API whose stage belongs to somebody else's configuration, or to nobody's: the module makes a stage of its
# own on the same API.  Where the platform's stage can be deployed from its own configuration, leave `own_stage` out and
# put the output `redeploy_hash` into its triggers, as in ../existing_platform.

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

variable "rest_api" {
  description = "The platform's REST API: its id, the id of its root resource, and the id of its Cognito authorizer."
  type = object({
    id                 = string
    parent_resource_id = string
    authorizer_id      = string
  })
}

variable "user_pool_id" {
  description = "The platform's user pool."
  type        = string
}

module "ai_video" {
  source = "../.."

  name      = "films"
  table     = { name = "films", partition_key = "owner", sort_key = "film", due_index = "" }
  row_key   = "user/video"
  bucket    = { name = "our-films", recordings_prefixes = ["incoming/"] }
  user_pool = { id = var.user_pool_id, client_ids = ["1example23456789"] }
  rest_api  = merge(var.rest_api, { own_stage = "films", gateway_responses_cors = true })

  function_archive = "${var.package}/function.zip"
  layer_archives   = ["${var.package}/layer-dependencies.zip", "${var.package}/layer-media.zip"]

  google_cloud_project = "our-project"
  veo_output_gcs_uri   = "gs://our-clips/ai-video"
  google_federation    = { audience = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/from-aws/providers/films" }
  cors_origins         = ["https://films.example.com"]
}

output "url" {
  description = "Where the stage is served."
  value       = module.ai_video.own_stage_url
}

output "put_secret_command" {
  description = "The one thing that is left to do by hand."
  value       = module.ai_video.put_secret_command
}

module "platform" {
  source = "./platform"

  name          = var.name
  redeploy_hash = one(module.ai_video[*].redeploy_hash)
}

module "ai_video" {
  source = "../.."
  count  = var.with_worker ? 1 : 0

  name = "${var.name}-worker"

  table     = { name = module.platform.table_name, partition_key = "video_id" }
  bucket    = { name = module.platform.bucket_name, recordings_prefixes = ["uploads/"] }
  user_pool = { id = module.platform.user_pool_id, client_ids = [module.platform.client_id] }
  rest_api  = merge(module.platform.rest_api, { gateway_responses_cors = true })
  http_api  = module.platform.http_api

  function_archive = "${var.package}/function.zip"
  layer_archives   = ["${var.package}/layer-dependencies.zip", "${var.package}/layer-media.zip"]
  architecture     = var.architecture
  python_version   = var.python_version

  google_cloud_project = "example-project"
  veo_output_gcs_uri   = "gs://example-clips/ai-video"
  max_cost_usd         = 10
  daily_usd            = 40
  concurrent_jobs      = 3

  secret_recovery_days = 0 # so that the example can be applied again
  dashboard            = true
  extra_environment    = var.extra_environment
}

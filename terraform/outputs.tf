output "function_name" {
  description = "Of the one function."
  value       = aws_lambda_function.worker.function_name
}

output "function_arn" {
  description = "Of the one function."
  value       = aws_lambda_function.worker.arn
}

output "role_name" {
  description = "Of the function's role: for a statement of the platform's own, or a federation at Google."
  value       = aws_iam_role.function.name
}

output "role_arn" {
  description = "Of the function's role."
  value       = aws_iam_role.function.arn
}

output "log_group_name" {
  description = "Where the function logs."
  value       = aws_cloudwatch_log_group.function.name
}

output "secret_arn" {
  description = "Of the secret that waits for the vendors' keys."
  value       = aws_secretsmanager_secret.vendors.arn
}

output "put_secret_command" {
  description = "Puts the keys of a file into the secret; the one thing that is left to do by hand."
  value       = "aws secretsmanager put-secret-value --secret-id ${aws_secretsmanager_secret.vendors.arn} --secret-string file://vendors.json"
}

output "schedule_arn" {
  description = "Of the schedule that sweeps."
  value       = aws_scheduler_schedule.sweep.arn
}

output "alarm_arns" {
  description = "Of the alarms, by their kind."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.arn }
}

output "redeploy_hash" {
  description = "Changes whenever the REST API has to be deployed: belongs into the `triggers` of the platform's own aws_api_gateway_deployment. Null without a REST API."
  value       = local.redeploy_hash
}

output "own_stage_url" {
  description = "Where the stage that this module made is served; null without one."
  value       = try(aws_api_gateway_stage.own["this"].invoke_url, null)
}

output "frontend" {
  description = "What the pages have to know."
  value = {
    path       = "${var.base_path}${var.path}"
    region     = local.region
    userPoolId = var.user_pool.id
    clientIds  = var.user_pool.client_ids
  }
}

output "due_index" {
  description = "The index that the platform adds to its own aws_dynamodb_table: two attributes, and the index over them."
  value = {
    attributes = [{ name = "ai_due_shard", type = "S" }, { name = "ai_due_at", type = "N" }]
    global_secondary_index = {
      name               = var.table.due_index == "" ? "ai_due" : var.table.due_index
      hash_key           = "ai_due_shard"
      range_key          = "ai_due_at"
      projection_type    = "INCLUDE"
      non_key_attributes = ["ai_version"]
    }
  }
}

output "lifecycle_rules" {
  description = "Rules that the platform may add to its own aws_s3_bucket_lifecycle_configuration: what is needed only while a video is made, and uploads that a killed process left."
  value = [
    { id = "ai-video-intermediates", prefix = local.made_prefix, tag = { key = "ai-video-lifecycle", value = "intermediate" }, expiration_days = 30, abort_incomplete_multipart_upload_days = null },
    # Amazon Transcribe writes these itself, without a tag.
    { id = "ai-video-transcripts", prefix = "${local.made_prefix}transcribe/", tag = null, expiration_days = 30, abort_incomplete_multipart_upload_days = null },
    { id = "ai-video-broken-uploads", prefix = local.made_prefix, tag = null, expiration_days = null, abort_incomplete_multipart_upload_days = 2 },
  ]
}

output "statements" {
  description = "What the function may do, and why: the statements of its role's policy."
  value       = { for sid, statement in local.statements : sid => statement.reason if statement.when }
}

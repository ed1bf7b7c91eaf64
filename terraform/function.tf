locals {
  settings = {
    AI_VIDEO_MEDIA       = "s3"
    AI_VIDEO_TRANSCRIBER = "aws"
    AI_VIDEO_PLANNER     = var.planner
    AI_VIDEO_RENDERER    = "veo"

    AI_VIDEO_TABLE_NAME         = var.table.name
    AI_VIDEO_PARTITION_KEY      = var.table.partition_key
    AI_VIDEO_PARTITION_KEY_TYPE = var.table.partition_key_type
    AI_VIDEO_SORT_KEY           = var.table.sort_key == "" ? null : var.table.sort_key
    AI_VIDEO_SORT_KEY_TYPE      = var.table.sort_key == "" ? null : var.table.sort_key_type
    AI_VIDEO_DUE_INDEX          = var.table.due_index # empty says that there is none; unset would be the default
    AI_VIDEO_DUE_SHARDS         = tostring(var.table.due_shards)
    AI_VIDEO_ROW_KEY            = var.row_key
    AI_VIDEO_OWNER_ATTRIBUTE    = var.owner_attribute
    AI_VIDEO_SOURCE_ATTRIBUTE   = var.source_attribute
    AI_VIDEO_BUCKET             = var.bucket.name

    AI_VIDEO_API_PATH        = "${var.base_path}${var.path}"
    AI_VIDEO_CORS_ORIGINS    = join(",", var.cors_origins)
    AI_VIDEO_OPERATORS_GROUP = var.operators_group

    AI_VIDEO_STARTS                    = tostring(var.starts)
    AI_VIDEO_MAX_COST_USD              = tostring(var.max_cost_usd)
    AI_VIDEO_DAILY_USD                 = try(tostring(var.daily_usd), null)
    AI_VIDEO_CONCURRENT_JOBS           = try(tostring(var.concurrent_jobs), null)
    AI_VIDEO_LIMITS_PARAMETER          = var.limits_parameter
    AI_VIDEO_LONGEST_RECORDING_SECONDS = tostring(var.longest_recording_seconds)
    AI_VIDEO_SHARES_QUOTA              = tostring(var.shares_quota)

    AI_VIDEO_COMPLETION_BUS       = var.completion_bus
    AI_VIDEO_COMPLETION_TOPIC_ARN = var.completion_topic_arn

    AI_VIDEO_VEO_MODEL              = var.veo_model
    AI_VIDEO_VEO_PER_MINUTE         = try(tostring(var.veo_per_minute), null)
    AI_VIDEO_VEO_OUTPUT_GCS_URI     = var.veo_output_gcs_uri
    AI_VIDEO_VEO_ALLOW_INLINE       = tostring(var.veo_allow_inline)
    AI_VIDEO_GOOGLE_AUDIENCE        = try(var.google_federation.audience, null)
    AI_VIDEO_GOOGLE_SERVICE_ACCOUNT = try(var.google_federation.service_account, null)
    AI_VIDEO_OPENAI_MODEL           = var.openai_model
    AI_VIDEO_SECRET_ID              = aws_secretsmanager_secret.vendors.arn

    GOOGLE_CLOUD_PROJECT  = var.google_cloud_project
    GOOGLE_CLOUD_LOCATION = var.google_cloud_location

    POWERTOOLS_LOG_LEVEL    = var.log_level
    POWERTOOLS_SERVICE_NAME = local.function_name # of logs and metrics; the alarms stand on it
  }

  environment = merge({ for name, value in local.settings : name => value if value != null }, var.extra_environment)
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.logs_kms_key_arn
  tags              = local.tags
}

resource "aws_lambda_layer_version" "dependencies" {
  for_each = { for path in var.layer_archives : trimsuffix(basename(path), ".zip") => path }

  layer_name               = "${var.name}-${each.key}"
  filename                 = each.value
  source_code_hash         = filebase64sha256(each.value)
  compatible_runtimes      = ["python${var.python_version}"]
  compatible_architectures = [var.architecture]

  # A running function keeps the old one until it has the new one.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lambda_function" "worker" {
  function_name = local.function_name
  description   = "Turns recordings into AI-generated videos: API, turns and sweeps."
  role          = aws_iam_role.function.arn
  handler       = "worker.lambda_function.handler"
  runtime       = "python${var.python_version}"
  architectures = [var.architecture]

  filename         = var.function_archive
  source_code_hash = filebase64sha256(var.function_archive)
  layers           = [for path in var.layer_archives : aws_lambda_layer_version.dependencies[trimsuffix(basename(path), ".zip")].arn]

  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = coalesce(var.reserved_concurrency, -1)
  tags                           = local.tags

  ephemeral_storage {
    size = var.ephemeral_storage_mb
  }

  environment {
    variables = local.environment
  }

  # Otherwise the first event finds no rights, and Lambda makes a log group of its own that keeps logs for ever.
  depends_on = [aws_iam_role_policy.function, aws_cloudwatch_log_group.function]
}

# A turn is an invocation of the function by itself.  Lambda takes that for a mistake and ends it after some 16 hops,
# unless it is told that it is meant.
resource "aws_lambda_function_recursion_config" "worker" {
  function_name  = aws_lambda_function.worker.function_name
  recursive_loop = "Allow"
}

# The sweep is the retry: what was not done is due.  A repetition by Lambda would only be one more event that is ignored,
# and an event older than the grace of 75 s meets the sweep's own.
resource "aws_lambda_function_event_invoke_config" "worker" {
  function_name                = aws_lambda_function.worker.function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}

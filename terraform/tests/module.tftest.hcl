# What is made, under a mocked provider: no account, no network.  One run is a second, so a run holds much.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  table     = { name = "video_metadata", partition_key = "video_id" }
  bucket    = { name = "platform-media", recordings_prefixes = ["uploads/"] }
  user_pool = { id = "eu-central-1_AbCdEfGhI", client_ids = ["client"] }
  rest_api  = { id = "rest1234", parent_resource_id = "root1234", authorizer_id = "auth12", authorization_scopes = ["videos/write"] }
  http_api  = { id = "http1234", authorizer_id = "jwt123", authorization_scopes = ["videos/write"] }

  function_archive = "tests/archives/function.zip"
  layer_archives   = ["tests/archives/layer-dependencies.zip", "tests/archives/layer-media.zip"]

  google_cloud_project = "our-project"
  veo_output_gcs_uri   = "gs://our-clips/ai-video"
}

run "as_little_as_is_needed" {
  # The two roles are mocked alike otherwise.
  override_resource {
    target = aws_iam_role.schedule
    values = { arn = "arn:aws:iam::123456789012:role/ai-video-schedule" }
  }

  variables {
    alarm_actions = ["arn:aws:sns:eu-central-1:123456789012:on-call"]
  }

  assert {
    condition     = aws_lambda_function_recursion_config.worker.recursive_loop == "Allow"
    error_message = "Lambda would end a job after some 16 turns."
  }

  assert {
    condition     = aws_lambda_function_recursion_config.worker.function_name == aws_lambda_function.worker.function_name
    error_message = "It is said of another function."
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.worker.maximum_retry_attempts == 0
    error_message = "The sweep is the retry."
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.worker.maximum_event_age_in_seconds == 60
    error_message = "An event must not outlive the grace of 75 s."
  }

  assert {
    condition     = aws_lambda_function.worker.reserved_concurrent_executions == -1
    error_message = "Something was reserved."
  }

  assert {
    condition = toset(keys(aws_api_gateway_method.ai_video)) == toset(["GET", "POST", "DELETE", "OPTIONS"]) && alltrue([
      for method, made in aws_api_gateway_method.ai_video :
      made.authorization == "COGNITO_USER_POOLS" && made.authorizer_id == "auth12" && made.authorization_scopes == toset(["videos/write"])
      if method != "OPTIONS"
    ])
    error_message = "Somebody who is not signed in could spend money."
  }

  assert {
    condition     = aws_api_gateway_method.ai_video["OPTIONS"].authorization == "NONE"
    error_message = "A browser asks OPTIONS without a token."
  }

  assert {
    condition     = aws_api_gateway_resource.ai_video["this"].parent_id == "root1234" && aws_api_gateway_resource.ai_video["this"].path_part == "ai-video"
    error_message = "The resource stands somewhere else."
  }

  assert {
    condition = alltrue([
      for integration in aws_api_gateway_integration.ai_video :
      integration.type == "AWS_PROXY" && integration.integration_http_method == "POST" && integration.uri == aws_lambda_function.worker.invoke_arn
    ])
    error_message = "A method does not lead to the function."
  }

  assert {
    condition = toset(keys(aws_apigatewayv2_route.signed_in)) == toset(["GET", "POST", "DELETE"]) && alltrue([
      for method, made in aws_apigatewayv2_route.signed_in :
      made.route_key == "${method} /ai-video" && made.authorization_type == "JWT" && made.authorizer_id == "jwt123" && made.authorization_scopes == toset(["videos/write"])
    ])
    error_message = "Somebody who is not signed in could spend money."
  }

  assert {
    condition     = aws_apigatewayv2_route.preflight["this"].route_key == "OPTIONS /ai-video" && aws_apigatewayv2_route.preflight["this"].authorization_type == "NONE"
    error_message = "A browser asks OPTIONS without a token."
  }

  assert {
    condition     = aws_apigatewayv2_integration.worker["this"].payload_format_version == "2.0" && aws_apigatewayv2_integration.worker["this"].integration_type == "AWS_PROXY"
    error_message = "The function does not understand what it would be sent."
  }

  assert {
    condition = (
      aws_lambda_permission.rest_api["this"].source_arn == "arn:aws:execute-api:eu-central-1:123456789012:rest1234/*/*/ai-video" &&
      aws_lambda_permission.http_api["this"].source_arn == "arn:aws:execute-api:eu-central-1:123456789012:http1234/*/*/ai-video"
    )
    error_message = "Another API, or another path, could invoke the function."
  }

  assert {
    condition = alltrue([
      for permission in concat(values(aws_lambda_permission.rest_api), values(aws_lambda_permission.http_api)) :
      permission.principal == "apigateway.amazonaws.com" && permission.action == "lambda:InvokeFunction"
    ]) && aws_lambda_permission.rest_api["this"].statement_id != aws_lambda_permission.http_api["this"].statement_id
    error_message = "The permission is not API Gateway's, or one takes the other's name."
  }

  assert {
    condition     = length(aws_api_gateway_gateway_response.with_cors) + length(aws_api_gateway_deployment.own) + length(aws_api_gateway_stage.own) == 0
    error_message = "A setting of the whole API was made without being asked for."
  }

  assert {
    condition     = aws_scheduler_schedule.sweep.schedule_expression == "rate(1 minute)" && aws_scheduler_schedule.sweep.flexible_time_window[0].mode == "OFF"
    error_message = "It is not once a minute."
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.sweep.target[0].input) == { source = "aws.scheduler", "detail-type" = "Scheduled Event" }
    error_message = "The function would not know who calls."
  }

  assert {
    condition     = aws_scheduler_schedule.sweep.target[0].arn == aws_lambda_function.worker.arn && aws_scheduler_schedule.sweep.target[0].role_arn == aws_iam_role.schedule.arn
    error_message = "It calls something else, or as somebody else."
  }

  assert {
    condition = alltrue([
      for policy in aws_scheduler_schedule.sweep.target[0].retry_policy : policy.maximum_retry_attempts == 0 && policy.maximum_event_age_in_seconds == 60
    ]) && length(aws_scheduler_schedule.sweep.target[0].retry_policy) == 1
    error_message = "It calls again what the next minute calls anyway."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.schedule.policy).Statement[0].Resource == ["arn:aws:lambda:eu-central-1:123456789012:function:ai-video"]
    error_message = "It may invoke another function."
  }

  assert {
    condition = {
      for role in [aws_iam_role.function, aws_iam_role.schedule] : role.name => [
        for statement in jsondecode(role.assume_role_policy).Statement : [statement.Principal, try(statement.Condition, null)]
      ]
      } == {
      ai-video-function = [[{ Service = "lambda.amazonaws.com" }, null]]
      ai-video-schedule = [[{ Service = "scheduler.amazonaws.com" }, { StringEquals = {
        "aws:SourceAccount" = "123456789012"
        "aws:SourceArn"     = "arn:aws:scheduler:eu-central-1:123456789012:schedule-group/default"
      } }]]
    }
    error_message = "Somebody else could use a role."
  }

  assert {
    condition = toset([for statement in jsondecode(aws_iam_role_policy.function.policy).Statement : statement.Sid]) == toset([
      "MoveExecutions", "LookAtRows", "FindDueByIndex", "ReadObjects", "MakeObjects", "TellMissingFromForbidden",
      "StartTranscriptions", "FollowTranscriptions", "InvokeItself", "ReadVendorsKeys", "WriteLogs",
    ])
    error_message = "A right is missing, or one stands there that nobody uses."
  }

  assert {
    condition     = aws_secretsmanager_secret.vendors.recovery_window_in_days == 30
    error_message = "A destroy by mistake could not be undone."
  }

  assert {
    condition = toset(keys(aws_cloudwatch_metric_alarm.this)) == toset([
      "failed-jobs", "oldest-due", "sweep-silent", "throttles", "errors", "store-errors", "parked", "after-work", "daily-spend",
    ])
    error_message = "An alarm is missing."
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.this :
      alarm.alarm_actions == toset(["arn:aws:sns:eu-central-1:123456789012:on-call"]) && alarm.ok_actions == alarm.alarm_actions
    ])
    error_message = "Nobody is told, or nobody that it is over."
  }

  # What a sweep meets once a minute has to ring.  Every number is one that is bad when it is high, and is not there
  # while nothing happens; but sweeps.
  assert {
    condition = {
      for kind, alarm in aws_cloudwatch_metric_alarm.this : kind => join(" ", [
        alarm.statistic, alarm.metric_name, alarm.comparison_operator, alarm.threshold,
        "in", alarm.evaluation_periods, "times", alarm.period, "s,", "missing:", alarm.treat_missing_data,
      ])
      } == {
      failed-jobs  = "Sum Failures GreaterThanThreshold 0 in 1 times 300 s, missing: notBreaching"
      oldest-due   = "Maximum OldestDueSeconds GreaterThanThreshold 300 in 1 times 300 s, missing: notBreaching"
      sweep-silent = "Sum Sweeps LessThanThreshold 1 in 5 times 60 s, missing: breaching"
      throttles    = "Sum Throttles GreaterThanThreshold 0 in 1 times 300 s, missing: notBreaching"
      errors       = "Sum Errors GreaterThanThreshold 0 in 1 times 300 s, missing: notBreaching"
      store-errors = "Sum StoreErrors GreaterThanThreshold 3 in 1 times 300 s, missing: notBreaching"
      parked       = "Sum ParkedTurns GreaterThanThreshold 0 in 1 times 300 s, missing: notBreaching"
      after-work   = "Sum AfterWorkGivenUp GreaterThanThreshold 0 in 1 times 300 s, missing: notBreaching"
      daily-spend  = "Sum SpentUsd GreaterThanThreshold 10 in 1 times 86400 s, missing: notBreaching"
    }
    error_message = "An alarm would be silent, or never end."
  }

  # Of the worker's own metrics, tests/terraform holds the dimensions against what the worker writes.
  assert {
    condition = alltrue([
      for kind in ["throttles", "errors"] :
      aws_cloudwatch_metric_alarm.this[kind].namespace == "AWS/Lambda" && aws_cloudwatch_metric_alarm.this[kind].dimensions == tomap({ FunctionName = "ai-video" })
    ])
    error_message = "It watches a metric that Lambda does not write."
  }

  assert {
    condition     = aws_cloudwatch_log_group.function.retention_in_days == 90
    error_message = "Logs would be kept for ever."
  }
}

run "all_that_can_be_asked_for" {
  variables {
    table                    = { name = "films", partition_key = "owner", sort_key = "film", sort_key_type = "N", due_index = "", due_shards = 2, kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/0" }
    name                     = "films"
    architecture             = "arm64"
    python_version           = "3.12"
    memory_mb                = 3008
    timeout_seconds          = 860
    ephemeral_storage_mb     = 4096
    reserved_concurrency     = 10
    tags                     = { Team = "films" }
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
    rest_api                 = { id = "rest1234", parent_resource_id = "root1234", authorizer_id = "auth12", gateway_responses_cors = true, own_stage = "films" }
    bucket                   = { name = "platform-media", recordings_prefixes = ["uploads/"], kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1" }
    secret_kms_key_arn       = "arn:aws:kms:eu-central-1:123456789012:key/2"
    secret_recovery_days     = 0
    alarm_actions            = ["arn:aws:sns:eu-central-1:123456789012:on-call"]
    without_alarms           = ["daily-spend", "sweep-silent"]
    dashboard                = true
    row_key                  = "user/video"
    base_path                = "/v1"
    cors_origins             = ["https://a.example.com", "https://b.example.com"]
    log_level                = "WARNING"
    log_retention_days       = 30
    logs_kms_key_arn         = "arn:aws:kms:eu-central-1:123456789012:key/3"
    starts                   = false
    max_cost_usd             = 7.5
    daily_usd                = 20
    concurrent_jobs          = 2
    operators_group          = "operators"
    limits_parameter         = "/platform/limits"
    completion_bus           = "platform"
    completion_topic_arn     = "arn:aws:sns:eu-central-1:123456789012:ends"
    veo_model                = "veo-3.1-generate-001"
    veo_per_minute           = 120
    openai_model             = "gpt-5.4"
    google_federation = {
      audience        = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/from-aws/providers/function"
      service_account = "worker@our-project.iam.gserviceaccount.com"
    }
    google_cloud_location = "us-central1"
    extra_environment     = { OPENAI_BASE_URL = "https://proxy.example.com/v1", AI_VIDEO_DUE_SHARDS = "3" }
  }

  assert {
    condition     = aws_lambda_function.worker.function_name == "films" && aws_lambda_function.worker.handler == "worker.lambda_function.handler"
    error_message = "Wrong name or handler."
  }

  assert {
    condition     = aws_lambda_function.worker.runtime == "python3.12" && aws_lambda_function.worker.architectures == tolist(["arm64"])
    error_message = "Wrong runtime or architecture."
  }

  assert {
    condition     = aws_lambda_function.worker.memory_size == 3008 && aws_lambda_function.worker.timeout == 860 && aws_lambda_function.worker.ephemeral_storage[0].size == 4096
    error_message = "Wrong size or timeout."
  }

  assert {
    condition     = aws_lambda_function.worker.reserved_concurrent_executions == 10
    error_message = "Wrong concurrency."
  }

  assert {
    condition     = aws_lambda_function.worker.source_code_hash == filebase64sha256("tests/archives/function.zip")
    error_message = "A changed archive would not be deployed."
  }

  assert {
    condition = alltrue([
      for tagged in concat([
        aws_lambda_function.worker, aws_cloudwatch_log_group.function, aws_secretsmanager_secret.vendors,
        aws_iam_role.function, aws_iam_role.schedule, aws_api_gateway_stage.own["this"],
      ], values(aws_cloudwatch_metric_alarm.this)) : tagged.tags == tomap({ Application = "ai-video-worker", Team = "films" })
    ])
    error_message = "Tags are missing."
  }

  assert {
    condition = alltrue([
      for layer in aws_lambda_layer_version.dependencies :
      layer.compatible_architectures == toset(["arm64"]) && layer.compatible_runtimes == toset(["python3.12"])
    ]) && toset(keys(aws_lambda_layer_version.dependencies)) == toset(["layer-dependencies", "layer-media"])
    error_message = "The layers are not the function's."
  }

  assert {
    condition     = aws_cloudwatch_log_group.function.name == "/aws/lambda/films" && aws_cloudwatch_log_group.function.retention_in_days == 30
    error_message = "Lambda would make a log group of its own that keeps logs for ever."
  }

  assert {
    condition     = aws_cloudwatch_log_group.function.kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/3" && aws_secretsmanager_secret.vendors.kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/2"
    error_message = "Logs or keys are encrypted with another key than was asked for."
  }

  # Those that tests/terraform does not see applied.
  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.function.policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      if contains(["ReadLimits", "TellBus", "TellTopic"], statement.Sid)
      } == {
      ReadLimits = [["ssm:GetParameter"], ["arn:aws:ssm:eu-central-1:123456789012:parameter/platform/limits"]]
      TellBus    = [["events:PutEvents"], ["arn:aws:events:eu-central-1:123456789012:event-bus/platform"]]
      TellTopic  = [["sns:Publish"], ["arn:aws:sns:eu-central-1:123456789012:ends"]]
    }
    error_message = "More may be read or told than what was named."
  }

  assert {
    condition = aws_lambda_function.worker.environment[0].variables == tomap({
      AI_VIDEO_API_PATH                  = "/v1/ai-video"
      AI_VIDEO_BUCKET                    = "platform-media"
      AI_VIDEO_COMPLETION_BUS            = "platform"
      AI_VIDEO_COMPLETION_TOPIC_ARN      = "arn:aws:sns:eu-central-1:123456789012:ends"
      AI_VIDEO_CONCURRENT_JOBS           = "2"
      AI_VIDEO_CORS_ORIGINS              = "https://a.example.com,https://b.example.com"
      AI_VIDEO_DAILY_USD                 = "20"
      AI_VIDEO_DUE_INDEX                 = ""
      AI_VIDEO_DUE_SHARDS                = "3"
      AI_VIDEO_GOOGLE_AUDIENCE           = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/from-aws/providers/function"
      AI_VIDEO_GOOGLE_SERVICE_ACCOUNT    = "worker@our-project.iam.gserviceaccount.com"
      AI_VIDEO_LIMITS_PARAMETER          = "/platform/limits"
      AI_VIDEO_LONGEST_RECORDING_SECONDS = "600"
      AI_VIDEO_MAX_COST_USD              = "7.5"
      AI_VIDEO_MEDIA                     = "s3"
      AI_VIDEO_OPENAI_MODEL              = "gpt-5.4"
      AI_VIDEO_OPERATORS_GROUP           = "operators"
      AI_VIDEO_OWNER_ATTRIBUTE           = "user_id"
      AI_VIDEO_PARTITION_KEY             = "owner"
      AI_VIDEO_PARTITION_KEY_TYPE        = "S"
      AI_VIDEO_PLANNER                   = "openai"
      AI_VIDEO_RENDERER                  = "veo"
      AI_VIDEO_ROW_KEY                   = "user/video"
      AI_VIDEO_SECRET_ID                 = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:ai-video/vendors-AbCdEf"
      AI_VIDEO_SHARES_QUOTA              = "true"
      AI_VIDEO_SORT_KEY                  = "film"
      AI_VIDEO_SORT_KEY_TYPE             = "N"
      AI_VIDEO_SOURCE_ATTRIBUTE          = "s3_key"
      AI_VIDEO_STARTS                    = "false"
      AI_VIDEO_TABLE_NAME                = "films"
      AI_VIDEO_TRANSCRIBER               = "aws"
      AI_VIDEO_VEO_ALLOW_INLINE          = "false"
      AI_VIDEO_VEO_MODEL                 = "veo-3.1-generate-001"
      AI_VIDEO_VEO_PER_MINUTE            = "120"
      AI_VIDEO_VEO_OUTPUT_GCS_URI        = "gs://our-clips/ai-video"
      GOOGLE_CLOUD_LOCATION              = "us-central1"
      GOOGLE_CLOUD_PROJECT               = "our-project"
      OPENAI_BASE_URL                    = "https://proxy.example.com/v1"
      POWERTOOLS_LOG_LEVEL               = "WARNING"
      POWERTOOLS_SERVICE_NAME            = "films"
    })
    error_message = "The environment is not as asked for."
  }

  assert {
    condition = toset(keys(aws_api_gateway_gateway_response.with_cors)) == toset(["DEFAULT_4XX", "DEFAULT_5XX"]) && alltrue([
      for response in aws_api_gateway_gateway_response.with_cors :
      response.response_parameters["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"
    ])
    error_message = "A browser would hide a 401 from its page."
  }

  assert {
    condition     = aws_api_gateway_stage.own["this"].stage_name == "films" && aws_api_gateway_stage.own["this"].deployment_id == aws_api_gateway_deployment.own["this"].id
    error_message = "The stage does not serve what was deployed."
  }

  assert {
    condition     = aws_api_gateway_deployment.own["this"].triggers.redeploy == output.redeploy_hash
    error_message = "A change of the routes would not be deployed."
  }

  assert {
    condition = toset([for statement in jsondecode(aws_iam_role_policy.function.policy).Statement : statement.Sid]) == toset([
      "MoveExecutions", "LookAtRows", "LookAtRowAndUser", "FindDueByScan", "UseTableKey", "ReadObjects", "MakeObjects",
      "TellMissingFromForbidden", "UseBucketKey", "StartTranscriptions", "FollowTranscriptions", "InvokeItself",
      "ReadVendorsKeys", "UseSecretKey", "ReadLimits", "TellBus", "TellTopic", "WriteLogs",
    ])
    error_message = "The statements are not those of what is switched on."
  }

  assert {
    condition     = aws_iam_role.function.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary" && aws_iam_role.schedule.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
    error_message = "A role has no boundary."
  }

  assert {
    condition     = length(setintersection(keys(aws_cloudwatch_metric_alarm.this), ["daily-spend", "sweep-silent"])) == 0 && length(aws_cloudwatch_metric_alarm.this) == 7
    error_message = "It was made all the same."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets) == 6
    error_message = "The dashboard is not whole."
  }
}

run "a_rest_api_alone_makes_nothing_of_an_http_api" {
  command = plan

  variables {
    http_api       = null
    completion_bus = "arn:aws:events:eu-west-1:210987654321:event-bus/ends"
  }

  assert {
    condition     = length(aws_apigatewayv2_route.signed_in) + length(aws_apigatewayv2_route.preflight) + length(aws_apigatewayv2_integration.worker) + length(aws_lambda_permission.http_api) == 0
    error_message = "Something of an HTTP API was made."
  }

  assert {
    condition     = local.completion_bus_arn == "arn:aws:events:eu-west-1:210987654321:event-bus/ends"
    error_message = "A bus that is given by its ARN is another one."
  }
}

run "an_http_api_alone_makes_nothing_of_a_rest_api" {
  command = plan

  variables {
    rest_api = null
    # With the manifest of what it was built for, which is what it is asked to run on.
    function_archive = "tests/archives/built/function.zip"
  }

  assert {
    condition     = length(aws_api_gateway_method.ai_video) + length(aws_api_gateway_resource.ai_video) + length(aws_api_gateway_integration.ai_video) + length(aws_lambda_permission.rest_api) == 0
    error_message = "Something of a REST API was made."
  }
  assert {
    condition     = output.redeploy_hash == null
    error_message = "There is nothing to deploy."
  }
}

# The mocked resource, made by the runs before, stands at /ai-video.
run "a_resource_elsewhere_than_the_function_is_told_is_refused" {
  command = plan

  variables {
    path = "/videos/ai-video"
  }

  expect_failures = [aws_api_gateway_resource.ai_video]
}

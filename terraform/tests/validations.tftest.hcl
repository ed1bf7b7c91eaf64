# Every validation refuses what it is there for: each run gives a wrong value to many variables, and every one of them
# has to be refused.  tests/terraform counts that no validation is left out.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  table     = { name = "video_metadata", partition_key = "video_id" }
  bucket    = { name = "platform-media", recordings_prefixes = ["uploads/"] }
  user_pool = { id = "eu-central-1_AbCdEfGhI", client_ids = ["client"] }
  rest_api  = { id = "rest1234", parent_resource_id = "root1234", authorizer_id = "auth12" }
  http_api  = { id = "http1234", authorizer_id = "jwt123" }

  function_archive = "tests/archives/function.zip"
  layer_archives   = ["tests/archives/layer-dependencies.zip", "tests/archives/layer-media.zip"]

  google_cloud_project = "our-project"
  veo_output_gcs_uri   = "gs://our-clips/ai-video"
}

run "a_first_wrong_value" {
  command = plan

  variables {
    # An ARN is no table's name.
    table = { name = "arn:aws:dynamodb:eu-central-1:123456789012:table/x", partition_key = "video_id" }
    # A row has an owner.
    owner_attribute = ""
    # An ARN is no bucket's name.
    bucket = { name = "arn:aws:s3:::platform-media", recordings_prefixes = ["uploads/"] }
    # A user pool has an id with its region.
    user_pool = { id = "people", client_ids = ["client"] }
    # Without an API nobody can start a job.
    rest_api = null
    http_api = null
    # A path begins with a slash.
    path = "ai-video"
    # A base path does not end with a slash.
    base_path = "/v1/"
    # A name has no spaces.
    name = "AI video"
    # Tags of AWS are not ours.
    tags = { "aws:owner" = "somebody" }
    # A boundary is a policy.
    permissions_boundary_arn = "arn:aws:iam::123456789012:role/x"
    # The layers are built before.
    layer_archives = ["tests/archives/nowhere.zip"]
    # Lambda knows two architectures.
    architecture = "amd64"
    # Python 3.11 runs on Amazon Linux 2.
    python_version = "3.11"
    # 128 MB do not hold a video.
    memory_mb = 128
    # The longest turn takes 14 minutes, and 20 s around it.
    timeout_seconds = 859
    # /tmp has at least 512 MB.
    ephemeral_storage_mb = 256
    # Nine executions are too few.
    reserved_concurrency = 9
    # Logs are kept for a number of days that CloudWatch knows.
    log_retention_days = 42
    # A log level is one of four.
    log_level = "LOUD"
    # The key of logs is a key.
    logs_kms_key_arn = "alias/logs"
    # A variable has a name that Lambda takes.
    extra_environment = { "2ND-KEY" = "x" }
    # A project is named by its id.
    google_cloud_project = "Our project"
    # A location is a region.
    google_cloud_location = "Frankfurt"
    # An audience is a provider of a pool, whose name has four characters at least.
    google_federation = { audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/aws/providers/function" }
    # A video model is a Veo.
    veo_model = "sora"
    # Clips are written to Google Cloud Storage.
    veo_output_gcs_uri = "s3://clips"
    # Scenes are planned by a model or by rules.
    planner = "me"
    # A language model has an id.
    openai_model = "The best one"
    # A recording lasts an hour at most.
    longest_recording_seconds = 3601
    # A job costs no negative amount.
    max_cost_usd = -1
    # There is no half a job.
    concurrent_jobs = 1.5
    # A parameter is given by its name, not its ARN.
    limits_parameter = "arn:aws:ssm:eu-central-1:123456789012:parameter/x"
    # A group's name survives the gateway's way of listing groups.
    operators_group = "video operators"
    # An origin has no path.
    cors_origins = ["https://app.example.com/"]
    # A bus has a name.
    completion_bus = "the bus"
    # A topic is given by its ARN.
    completion_topic_arn = "videos"
    # A secret is restored within a month.
    secret_recovery_days = 3
    # An alias is no key of a secret.
    secret_kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:alias/x"
    # A threshold is not negative.
    alarms = { failed_jobs = -1 }
    # An alarm that there is not cannot be left out.
    without_alarms = ["daily-cost"]
    # Whoever is told of an alarm has an ARN.
    alarm_actions = ["me@example.com"]
  }

  expect_failures = [
    var.table,
    var.owner_attribute,
    var.bucket,
    var.user_pool,
    var.rest_api,
    var.path,
    var.base_path,
    var.name,
    var.tags,
    var.permissions_boundary_arn,
    var.layer_archives,
    var.architecture,
    var.python_version,
    var.memory_mb,
    var.timeout_seconds,
    var.ephemeral_storage_mb,
    var.reserved_concurrency,
    var.log_retention_days,
    var.log_level,
    var.logs_kms_key_arn,
    var.extra_environment,
    var.google_cloud_project,
    var.google_cloud_location,
    var.google_federation,
    var.veo_model,
    var.veo_output_gcs_uri,
    var.planner,
    var.openai_model,
    var.longest_recording_seconds,
    var.max_cost_usd,
    var.concurrent_jobs,
    var.limits_parameter,
    var.operators_group,
    var.cors_origins,
    var.completion_bus,
    var.completion_topic_arn,
    var.secret_recovery_days,
    var.secret_kms_key_arn,
    var.alarms,
    var.without_alarms,
    var.alarm_actions,
  ]
}

run "a_second_wrong_value" {
  command = plan

  variables {
    # A row key is made of video and user.
    row_key = "title"
    # A recording and its owner stand apart.
    source_attribute = "user_id"
    # A day costs no negative amount.
    daily_usd = -1
    # Recordings stand somewhere.
    bucket = { name = "platform-media", recordings_prefixes = [] }
    # Somebody can sign in.
    user_pool = { id = "eu-central-1_AbCdEfGhI", client_ids = [] }
    # A REST API without an authorizer lets everybody in.
    rest_api = { id = "rest1234", parent_resource_id = "root1234", authorizer_id = "" }
    # There is a layer.
    layer_archives = []
    # Lambda's own limit is 900 s.
    timeout_seconds = 901
    # Lambda's own variables stay its own.
    extra_environment = { AWS_REGION = "eu-west-1" }
    # A service account has an address at Google.
    google_federation = { audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/from-aws/providers/function", service_account = "me@example.com" }
    # Paying twice has to be accepted in words.
    veo_output_gcs_uri = null
    # Everybody stands alone.
    cors_origins = ["*", "https://app.example.com"]
    # One minute without a sweep is no silence.
    alarms = { silent_minutes = 1 }
    # A quota is of whole submissions.
    veo_per_minute = 0
  }

  expect_failures = [
    var.row_key,
    var.source_attribute,
    var.daily_usd,
    var.bucket,
    var.user_pool,
    var.rest_api,
    var.layer_archives,
    var.timeout_seconds,
    var.extra_environment,
    var.google_federation,
    var.veo_output_gcs_uri,
    var.cors_origins,
    var.alarms,
    var.veo_per_minute,
  ]
}

run "a_third_wrong_value" {
  command = plan

  variables {
    # A table needs a partition key.
    table = { name = "video_metadata", partition_key = "" }
    # An HTTP API without an authorizer lets everybody in.
    http_api = { id = "http1234", authorizer_id = "" }
    # No key begins with a slash.
    bucket = { name = "platform-media", recordings_prefixes = ["/uploads/"] }
    # No two layers have one name.
    layer_archives = ["tests/archives/layer-media.zip", "./tests/archives/layer-media.zip"]
    # A minute late is not late.
    alarms = { oldest_due_seconds = 60 }
  }

  expect_failures = [
    var.table,
    var.http_api,
    var.bucket,
    var.layer_archives,
    var.alarms,
  ]
}

run "a_fourth_wrong_value" {
  command = plan

  variables {
    # Users cannot be counted where the partition key is a number.
    table     = { name = "video_metadata", partition_key = "video_id", partition_key_type = "N" }
    daily_usd = 10
    # A row key of two parts needs a sort key.
    row_key = "user/video"
    # A stage has a name for an address.
    rest_api = { id = "rest1234", parent_resource_id = "root1234", authorizer_id = "auth12", own_stage = "ai video" }
    # An alias is no key of a bucket.
    bucket = { name = "platform-media", recordings_prefixes = ["uploads/"], kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:alias/x" }
  }

  expect_failures = [
    var.daily_usd,
    var.row_key,
    var.rest_api,
    var.bucket,
  ]
}

run "a_fifth_wrong_value" {
  command = plan

  variables {
    # A key is text or a number.
    table = { name = "video_metadata", partition_key = "video_id", partition_key_type = "B" }
    # The function is built before.  (What looks beside it is not looked at where this is wrong.)
    function_archive = "tests/archives/nowhere.zip"
  }

  expect_failures = [
    var.table,
    var.function_archive,
  ]
}

run "a_sixth_wrong_value" {
  command = plan

  variables {
    # An index has a name that DynamoDB takes.
    table = { name = "video_metadata", partition_key = "video_id", due_index = "ai due" }
  }

  expect_failures = [
    var.table,
  ]
}

run "a_seventh_wrong_value" {
  command = plan

  variables {
    # There is no half a shard.
    table = { name = "video_metadata", partition_key = "video_id", due_shards = 1.5 }
  }

  expect_failures = [
    var.table,
  ]
}

run "an_eighth_wrong_value" {
  command = plan

  variables {
    # An alias is no key of a table.
    table = { name = "video_metadata", partition_key = "video_id", kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:alias/x" }
  }

  expect_failures = [
    var.table,
  ]
}

run "a_ninth_wrong_value" {
  command = plan

  variables {
    function_archive = "tests/archives/built/function.zip"
    # What was built for x86_64 does not run on arm64.
    architecture = "arm64"
    # What was built for 3.13 does not run on 3.12.
    python_version = "3.12"
  }

  expect_failures = [
    var.architecture,
    var.python_version,
  ]
}

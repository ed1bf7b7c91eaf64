# ---- the platform that stands

variable "table" {
  description = <<-EOT
    The platform's DynamoDB table: `name`, names and types (`S` or `N`) of its keys, `due_index` (the sparse index that
    the platform adds to its own table, see the output `due_index`; empty: none, the sweep reads the whole table),
    `due_shards`: into how many partitions that index is spread, and `kms_key_arn` where the table is encrypted with a
    key of the platform's own.
  EOT
  type = object({
    name               = string
    partition_key      = string
    partition_key_type = optional(string, "S")
    sort_key           = optional(string, "")
    sort_key_type      = optional(string, "S")
    due_index          = optional(string, "ai_due")
    due_shards         = optional(number, 4)
    kms_key_arn        = optional(string)
  })
  nullable = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{3,255}$", var.table.name))
    error_message = "table.name is the name of a DynamoDB table (not its ARN): 3 to 255 letters, digits, '_', '.', '-'."
  }
  validation {
    condition     = length(var.table.partition_key) > 0 && var.table.partition_key != var.table.sort_key
    error_message = "table.partition_key is needed, and is not table.sort_key."
  }
  validation {
    condition = alltrue([
      for type in [var.table.partition_key_type, var.table.sort_key_type] : contains(["S", "N"], type)
    ])
    error_message = "A key's type is S (text) or N (number)."
  }
  validation {
    condition     = var.table.due_index == "" || can(regex("^[A-Za-z0-9_.-]{3,255}$", var.table.due_index))
    error_message = "table.due_index is the name of an index, or empty where the table has none."
  }
  validation {
    condition     = var.table.due_shards >= 1 && var.table.due_shards <= 64 && floor(var.table.due_shards) == var.table.due_shards
    error_message = "table.due_shards is a whole number from 1 to 64: every one costs a query a second while a job runs."
  }
  validation {
    condition     = var.table.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.table.kms_key_arn))
    error_message = "table.kms_key_arn is the ARN of a key, not of an alias: IAM does not follow aliases."
  }
}

variable "row_key" {
  description = "How the key of a video's row follows from the caller's `sub` and `videoId`: `video`, `user/video` or `video/user`."
  type        = string
  default     = "video"
  nullable    = false

  validation {
    condition     = contains(["video", "user/video", "video/user"], var.row_key)
    error_message = "row_key is 'video', 'user/video' or 'video/user'."
  }
  validation {
    condition     = (length(split("/", var.row_key)) == 2) == (var.table.sort_key != "")
    error_message = "row_key has two parts where the table has a sort key, and one where it has none."
  }
}

variable "owner_attribute" {
  description = "Attribute of a row that holds the Cognito `sub` of whoever uploaded the recording."
  type        = string
  default     = "user_id"
  nullable    = false

  validation {
    condition     = length(var.owner_attribute) > 0
    error_message = "owner_attribute is the name of an attribute."
  }
}

variable "source_attribute" {
  description = "Attribute of a row that holds the recording's key, or its `s3://` address."
  type        = string
  default     = "s3_key"
  nullable    = false

  validation {
    condition     = length(var.source_attribute) > 0 && var.source_attribute != var.owner_attribute
    error_message = "source_attribute is the name of an attribute, and not owner_attribute."
  }
}

variable "bucket" {
  description = <<-EOT
    The platform's bucket: `name`, `recordings_prefixes` (what the keys of uploaded recordings begin with; `""` alone is
    the whole bucket), and `kms_key_arn` where the bucket is encrypted with a key of the platform's own. What the worker
    makes lies below `ai-video/`.
  EOT
  type = object({
    name                = string
    recordings_prefixes = list(string)
    kms_key_arn         = optional(string)
  })
  nullable = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket.name))
    error_message = "bucket.name is the name of an S3 bucket, not its ARN."
  }
  validation {
    condition     = length(var.bucket.recordings_prefixes) > 0
    error_message = "bucket.recordings_prefixes has at least one entry; [\"\"] lets the function read the whole bucket."
  }
  validation {
    condition     = alltrue([for prefix in var.bucket.recordings_prefixes : !startswith(prefix, "/") && !strcontains(prefix, "*") && !strcontains(prefix, "?")])
    error_message = "A prefix has no leading '/' (no key begins with one) and no wildcard (it is added)."
  }
  validation {
    condition     = var.bucket.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.bucket.kms_key_arn))
    error_message = "bucket.kms_key_arn is the ARN of a key, not of an alias: IAM does not follow aliases."
  }
}

variable "user_pool" {
  description = "The platform's Cognito user pool, `id`, and the `client_ids` of its pages. The routes carry the platform's own authorizer; what stands here goes into the output `frontend`."
  type = object({
    id         = string
    client_ids = list(string)
  })
  nullable = false

  validation {
    condition     = can(regex("^[a-z0-9-]+_[A-Za-z0-9]+$", var.user_pool.id))
    error_message = "user_pool.id reads like eu-central-1_AbCdEfGhI."
  }
  validation {
    condition     = length(var.user_pool.client_ids) > 0
    error_message = "user_pool.client_ids has at least one entry: somebody has to be able to sign in."
  }
}

variable "rest_api" {
  description = <<-EOT
    The platform's REST API (API Gateway v1), or null: `id`, `parent_resource_id` (below which the resource is made; the
    root's, usually), `authorizer_id` (of type COGNITO_USER_POOLS), `authorization_scopes` (where access tokens are
    used), `gateway_responses_cors`: true lets this module add CORS headers to the API's own refusals (DEFAULT_4XX and
    DEFAULT_5XX of the whole API), without which a browser hides a 401 from its page, and `own_stage`: name of a stage
    that this module shall make and deploy by itself, see README, "A REST API has to be deployed".
  EOT
  type = object({
    id                     = string
    parent_resource_id     = string
    authorizer_id          = string
    authorization_scopes   = optional(list(string), [])
    gateway_responses_cors = optional(bool, false)
    own_stage              = optional(string)
  })
  default = null

  validation {
    condition     = var.rest_api != null || var.http_api != null
    error_message = "Give rest_api, http_api or both: without one nobody can start a job."
  }
  validation {
    condition     = var.rest_api == null || alltrue([for text in [try(var.rest_api.id, ""), try(var.rest_api.parent_resource_id, ""), try(var.rest_api.authorizer_id, "")] : can(regex("^[a-z0-9]+$", text))])
    error_message = "rest_api.id, parent_resource_id and authorizer_id are ids: small letters and digits. Without an authorizer everybody could spend your money."
  }
  validation {
    condition     = try(var.rest_api.own_stage, null) == null || can(regex("^[A-Za-z0-9_-]{1,128}$", var.rest_api.own_stage))
    error_message = "rest_api.own_stage has letters, digits, '_' and '-' only."
  }
}

variable "http_api" {
  description = <<-EOT
    The platform's HTTP API (API Gateway v2), or null: `id`, `authorizer_id` (of type JWT, on the user pool), and
    `authorization_scopes` (where access tokens are used). Its stage needs `auto_deploy`.
  EOT
  type = object({
    id                   = string
    authorizer_id        = string
    authorization_scopes = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.http_api == null || alltrue([for text in [try(var.http_api.id, ""), try(var.http_api.authorizer_id, "")] : can(regex("^[A-Za-z0-9]+$", text))])
    error_message = "http_api.id and authorizer_id are ids: letters and digits. Without an authorizer everybody could spend your money."
  }
}

variable "path" {
  description = "Path of the one resource: the route of the HTTP API; its last part is the resource of the REST API, below `parent_resource_id`."
  type        = string
  default     = "/ai-video"
  nullable    = false

  validation {
    condition     = can(regex("^(/[A-Za-z0-9._~-]+)+$", var.path))
    error_message = "path begins with '/' and has letters, digits and ._~- between slashes."
  }
}

variable "base_path" {
  description = "What a custom domain's mapping puts before `path` in requests, '/v1' for instance; empty without one."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.base_path == "" || can(regex("^(/[A-Za-z0-9._~-]+)+$", var.base_path))
    error_message = "base_path is empty, or begins with '/' and does not end with one."
  }
}

# ---- names

variable "name" {
  description = "Of the function; everything else that is made is named after it. Two installations in one account have two names, in two regions too: roles and dashboards belong to the whole account."
  type        = string
  default     = "ai-video"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,39}$", var.name)) && !endswith(var.name, "-")
    error_message = "name has 2 to 40 small letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "tags" {
  description = "Put on everything that is made and can carry tags."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.tags) : !startswith(lower(name), "aws:")])
    error_message = "Names of tags that begin with 'aws:' belong to AWS."
  }
}

variable "permissions_boundary_arn" {
  description = "Policy that bounds the roles which are made; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn is the ARN of a policy."
  }
}

# ---- the function

variable "function_archive" {
  description = "Path of function.zip, as `make package` builds it. Nothing is built inside Terraform."
  type        = string
  nullable    = false

  validation {
    condition     = endswith(var.function_archive, ".zip") && fileexists(var.function_archive)
    error_message = "function_archive is no existing .zip file: run 'make package' first."
  }
}

variable "layer_archives" {
  description = "Paths of the layers' archives (layer-dependencies.zip, layer-media.zip), in the order in which the function sees them."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for path in var.layer_archives : endswith(path, ".zip") && fileexists(path)])
    error_message = "Every entry of layer_archives is an existing .zip file: run 'make package' first."
  }
  validation {
    condition     = length(var.layer_archives) >= 1 && length(var.layer_archives) <= 5
    error_message = "There are 1 to 5 layers: Lambda takes no more."
  }
  validation {
    condition     = length(distinct([for path in var.layer_archives : basename(path)])) == length(var.layer_archives)
    error_message = "The layers are named after their files, so no two files may have one name."
  }
}

variable "architecture" {
  description = "`arm64` or `x86_64`; the archives have to be built for it (`make package PACKAGE_FLAGS='--architecture arm64'`)."
  type        = string
  default     = "x86_64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is 'arm64' or 'x86_64'."
  }
  validation {
    # Such a function ends at its first import.  Where somebody took the archives away from their manifest, nobody knows.
    condition     = try(jsondecode(file("${dirname(var.function_archive)}/manifest.json")).architecture, var.architecture) == var.architecture
    error_message = "architecture is not what the archives were built for, as the manifest.json beside function_archive says: 'make package' takes it by PACKAGE_FLAGS='--architecture arm64'."
  }
}

variable "python_version" {
  description = "Of the runtime, 3.12 or later: PyAV's wheels need Amazon Linux 2023. The archives have to be built for it."
  type        = string
  default     = "3.13"
  nullable    = false

  validation {
    condition     = can(regex("^3\\.(1[2-9]|[2-9][0-9])$", var.python_version))
    error_message = "python_version is 3.12 or later: earlier runtimes are Amazon Linux 2, on which PyAV does not load."
  }
  validation {
    # As of `architecture`.
    condition     = try(jsondecode(file("${dirname(var.function_archive)}/manifest.json")).python, var.python_version) == var.python_version
    error_message = "python_version is not what the archives were built for, as the manifest.json beside function_archive says: 'make package' takes it by PACKAGE_FLAGS='--python 3.13'."
  }
}

variable "memory_mb" {
  description = "Memory of the function. 1769 MB is one processor; assembling is the one step that computes."
  type        = number
  default     = 1769
  nullable    = false

  validation {
    condition     = var.memory_mb >= 512 && var.memory_mb <= 10240 && floor(var.memory_mb) == var.memory_mb
    error_message = "memory_mb is a whole number from 512 (less does not hold the media library and a video) to 10240."
  }
}

variable "timeout_seconds" {
  description = "Of one invocation. The longest turn, assembling, may take 14 minutes and needs 20 s around it."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 14 * 60 + 20 && var.timeout_seconds <= 900
    error_message = "timeout_seconds is at least 860 (the longest turn, 14 minutes, and 20 s) and at most 900 (Lambda's limit)."
  }
}

variable "ephemeral_storage_mb" {
  description = "Of /tmp: the recording, the clips and the video stand there side by side while the video is assembled."
  type        = number
  default     = 2048
  nullable    = false

  validation {
    condition     = var.ephemeral_storage_mb >= 512 && var.ephemeral_storage_mb <= 10240 && floor(var.ephemeral_storage_mb) == var.ephemeral_storage_mb
    error_message = "ephemeral_storage_mb is a whole number from 512 to 10240."
  }
}

variable "reserved_concurrency" {
  description = "Executions kept for this function alone, and no more than these; null: it shares the account's. Requests, turns and sweeps share them."
  type        = number
  default     = null

  validation {
    condition     = var.reserved_concurrency == null || try(var.reserved_concurrency >= 10 && floor(var.reserved_concurrency) == var.reserved_concurrency, false)
    error_message = "reserved_concurrency is unset or at least 10: fewer are taken by the sweep and a few turns, and people get 429."
  }
}

variable "log_retention_days" {
  description = "Of the function's log group; 0: for ever."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is one of the numbers of days that CloudWatch Logs knows: 30, 60, 90, 180, 365 and so on, or 0."
  }
}

variable "log_level" {
  description = "Least level that is logged. Turns and sweeps are logged at INFO."
  type        = string
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level is DEBUG, INFO, WARNING or ERROR."
  }
}

variable "logs_kms_key_arn" {
  description = "Key that encrypts the log group; null: CloudWatch's own."
  type        = string
  default     = null

  validation {
    condition     = var.logs_kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:", var.logs_kms_key_arn))
    error_message = "logs_kms_key_arn is the ARN of a key."
  }
}

variable "extra_environment" {
  description = "More variables of the function, laid over its own: of the vendors' SDKs, or AI_VIDEO_ settings that have no variable here. Nothing secret: whoever may look at the function reads them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.extra_environment) : can(regex("^[A-Za-z][A-Za-z0-9_]+$", name))])
    error_message = "Names of variables have letters, digits and '_', a letter first, two characters at least."
  }
  validation {
    # AWS Lambda developer guide, "Defined runtime environment variables", read 2026-11-22.
    condition = length(setintersection(keys(var.extra_environment), [
      "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
      "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
      "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
      "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
      "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
    ])) == 0
    error_message = "extra_environment names a variable that Lambda itself sets and nobody may: AWS_REGION, keys, AWS_LAMBDA_... ."
  }
}

# ---- what a job is made with

variable "google_cloud_project" {
  description = "Google Cloud project that pays for the clips."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.google_cloud_project))
    error_message = "google_cloud_project is the id of a project (6 to 30 small letters, digits, hyphens), not its number or title."
  }
}

variable "google_cloud_location" {
  description = "Of Vertex AI, where the model answers; null: the model's first region."
  type        = string
  default     = null

  validation {
    condition     = var.google_cloud_location == null || can(regex("^(global|[a-z]+-[a-z]+[0-9]+)$", var.google_cloud_location))
    error_message = "google_cloud_location reads like us-central1."
  }
}

variable "google_federation" {
  description = <<-EOT
    Lets the function's role act at Google without a key: `audience`
    (`//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`) and
    `service_account` to act as (null: the role itself was granted the access). Null: the secret holds a service
    account's key.
  EOT
  type = object({
    audience        = string
    service_account = optional(string)
  })
  default = null

  validation {
    # Google's IAM API reference, workloadIdentityPools.create and .providers.create, read 2026-11-23.
    condition     = var.google_federation == null || can(regex("^//iam\\.googleapis\\.com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}$", var.google_federation.audience))
    error_message = "google_federation.audience reads //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER: the project's number, not its id, and names of 4 to 32 small letters, digits and hyphens."
  }
  validation {
    condition     = try(var.google_federation.service_account, null) == null || can(regex("^[^@ ]+@[^@ ]+\\.gserviceaccount\\.com$", var.google_federation.service_account))
    error_message = "google_federation.service_account is a service account's e-mail address."
  }
}

variable "veo_model" {
  description = "Model that makes the clips; null: the worker's default. A model that the worker does not know stops the function at its first event."
  type        = string
  default     = null

  validation {
    condition     = var.veo_model == null || can(regex("^veo-[0-9.]+-", var.veo_model))
    error_message = "veo_model is the id of a Veo model, such as veo-3.1-fast-generate-001."
  }
}

variable "veo_per_minute" {
  description = "Submissions a minute that the Google Cloud project may make, shared by all jobs; null: what the vendor gives everybody, as the worker's table of models has it. Raise it when a quota increase was granted."
  type        = number
  default     = null

  validation {
    condition     = var.veo_per_minute == null || try(var.veo_per_minute >= 1 && floor(var.veo_per_minute) == var.veo_per_minute, false)
    error_message = "veo_per_minute is a whole number, at least 1."
  }
}

variable "veo_output_gcs_uri" {
  description = "`gs://bucket/prefix` into which Veo writes its clips: without it a clip whose order was not answered cannot be found again."
  type        = string
  default     = null

  validation {
    condition     = var.veo_output_gcs_uri == null || can(regex("^gs://[a-z0-9][a-z0-9._-]+[a-z0-9](/.*)?$", var.veo_output_gcs_uri))
    error_message = "veo_output_gcs_uri reads gs://bucket/prefix."
  }
  validation {
    condition     = (var.veo_output_gcs_uri != null) != var.veo_allow_inline
    error_message = "Give veo_output_gcs_uri, or accept with veo_allow_inline that a clip may be paid twice; not both."
  }
}

variable "veo_allow_inline" {
  description = "Do without that bucket, and accept that a clip may be paid twice."
  type        = bool
  default     = false
  nullable    = false
}

variable "planner" {
  description = "Who plans the scenes: `openai`, or `rules` (one scene after the other, by what is said; costs nothing)."
  type        = string
  default     = "openai"
  nullable    = false

  validation {
    condition     = contains(["openai", "rules"], var.planner)
    error_message = "planner is 'openai' or 'rules'."
  }
}

variable "openai_model" {
  description = "Model that plans the scenes; null: the worker's default."
  type        = string
  default     = null

  validation {
    condition     = var.openai_model == null || can(regex("^[a-z0-9][a-z0-9.:-]+$", var.openai_model))
    error_message = "openai_model is the id of a model, such as gpt-5.4-mini."
  }
}

variable "longest_recording_seconds" {
  description = "Longest recording that is accepted."
  type        = number
  default     = 600
  nullable    = false

  validation {
    condition     = var.longest_recording_seconds > 0 && var.longest_recording_seconds <= 3600
    error_message = "longest_recording_seconds is more than 0 and at most 3600: what a row keeps grows with it."
  }
}

variable "shares_quota" {
  description = "Whether jobs take turns at the model's quota, by a control row `ai#quota#...` in the table."
  type        = bool
  default     = true
  nullable    = false
}

# ---- what it may cost, and who may what

variable "starts" {
  description = "False refuses whatever would cost money; people can still watch and cancel."
  type        = bool
  default     = true
  nullable    = false
}

variable "max_cost_usd" {
  description = "Of one job, whatever its owner allows."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.max_cost_usd >= 0
    error_message = "max_cost_usd is not negative."
  }
}

variable "daily_usd" {
  description = "Of one user and day (UTC); null: not counted. It makes a control row `ai#user#...` for each user."
  type        = number
  default     = null

  validation {
    condition     = try(var.daily_usd >= 0, var.daily_usd == null)
    error_message = "daily_usd is not negative."
  }
  validation {
    condition     = var.table.partition_key_type == "S" || (var.daily_usd == null && var.concurrent_jobs == null && var.limits_parameter == null)
    error_message = "Users are counted in control rows, whose key is text: this table's partition key is a number."
  }
}

variable "concurrent_jobs" {
  description = "Of one user at a time; null: not counted."
  type        = number
  default     = null

  validation {
    condition     = try(var.concurrent_jobs >= 0 && floor(var.concurrent_jobs) == var.concurrent_jobs, var.concurrent_jobs == null)
    error_message = "concurrent_jobs is a whole number, not negative."
  }
}

variable "limits_parameter" {
  description = "Name of an existing SSM parameter that is laid over these four, read once a minute: `{\"starts\": false}` is the kill switch. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.limits_parameter == null || can(regex("^/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", var.limits_parameter))
    error_message = "limits_parameter is the name of a parameter, such as /platform/ai-video/limits, not its ARN."
  }
}

variable "operators_group" {
  description = "Group of the user pool whose members may read any job and see vendors' details; null: nobody."
  type        = string
  default     = null

  validation {
    condition     = var.operators_group == null || can(regex("^[^\\s,\\[\\]]{1,128}$", var.operators_group))
    error_message = "operators_group is the name of a group, without spaces, commas and brackets."
  }
}

variable "cors_origins" {
  description = "Origins that may call from a browser; `*` is everybody."
  type        = list(string)
  default     = ["*"]
  nullable    = false

  validation {
    condition     = length(var.cors_origins) > 0 && alltrue([for origin in var.cors_origins : origin == "*" || can(regex("^https?://[^/,\\s]+$", origin))])
    error_message = "An origin is scheme and host, with a port if need be, and nothing after them: https://app.example.com."
  }
  validation {
    condition     = !contains(var.cors_origins, "*") || length(var.cors_origins) == 1
    error_message = "'*' stands alone: it is everybody."
  }
}

variable "completion_bus" {
  description = "Name or ARN of an existing EventBridge bus to which the end of every job is told; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.completion_bus == null || can(regex("^(arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/)?[A-Za-z0-9_./-]{1,256}$", var.completion_bus))
    error_message = "completion_bus is the name or the ARN of an event bus."
  }
}

variable "completion_topic_arn" {
  description = "ARN of an existing SNS topic to which the end of every job is told; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.completion_topic_arn == null || can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.completion_topic_arn))
    error_message = "completion_topic_arn is the ARN of a standard topic."
  }
}

# ---- the secret

variable "secret_recovery_days" {
  description = "How long the secret can be restored after a destroy, 7 to 30; 0 deletes it at once, and its name can be used again at once."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.secret_recovery_days == 0 || (var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30)
    error_message = "secret_recovery_days is 0, or 7 to 30."
  }
}

variable "secret_kms_key_arn" {
  description = "Key that encrypts the secret; null: the account's own key of Secrets Manager."
  type        = string
  default     = null

  validation {
    condition     = var.secret_kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.secret_kms_key_arn))
    error_message = "secret_kms_key_arn is the ARN of a key, not of an alias: IAM does not follow aliases."
  }
}

# ---- watching

variable "alarms" {
  description = <<-EOT
    Thresholds of the alarms. `failed_jobs`: in five minutes, more than this;
    `oldest_due_seconds`: how late a row may be woken; `silent_minutes`: without a sweep; `throttles` and `errors`:
    invocations in five minutes, more than this; `store_errors`: refusals of the table in five minutes, more than this;
    `parked`: looks in five minutes at jobs that the deployed version does not know, more than this; `after_work`: ends
    of jobs that were not told for a day, in five minutes, more than this;
    `daily_usd`: ordered from the vendor within 24 hours, by all users, more than this.
  EOT
  type = object({
    failed_jobs        = optional(number, 0)
    oldest_due_seconds = optional(number, 300)
    silent_minutes     = optional(number, 5)
    throttles          = optional(number, 0)
    errors             = optional(number, 0)
    store_errors       = optional(number, 3)
    parked             = optional(number, 0)
    after_work         = optional(number, 0)
    daily_usd          = optional(number, 10)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name, threshold in var.alarms : threshold >= 0])
    error_message = "A threshold is not negative; without_alarms makes none of a kind."
  }
  validation {
    condition     = var.alarms.silent_minutes >= 2 && var.alarms.silent_minutes <= 60 && floor(var.alarms.silent_minutes) == var.alarms.silent_minutes
    error_message = "alarms.silent_minutes is a whole number from 2 to 60: a sweep is reported when it ends, up to 75 s after it began."
  }
  validation {
    condition     = var.alarms.oldest_due_seconds >= 90
    error_message = "alarms.oldest_due_seconds is at least 90: without the due index a row is woken up to a minute late."
  }
}

variable "without_alarms" {
  description = "Kinds of alarms that are not made: failed-jobs, oldest-due, sweep-silent, throttles, errors, store-errors, parked, after-work, daily-spend."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(setsubtract(var.without_alarms, ["failed-jobs", "oldest-due", "sweep-silent", "throttles", "errors", "store-errors", "parked", "after-work", "daily-spend"])) == 0
    error_message = "without_alarms names a kind that there is not; a misspelt one would be made."
  }
}

variable "alarm_actions" {
  description = "ARNs that are told of an alarm and of its end: SNS topics, usually."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_actions : startswith(arn, "arn:")])
    error_message = "alarm_actions are ARNs."
  }
}

variable "dashboard" {
  description = "Whether to make a CloudWatch dashboard."
  type        = bool
  default     = false
  nullable    = false
}

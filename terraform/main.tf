data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  account    = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.id # `name` is deprecated in provider 6, `id` is the same in both

  tags = merge({ Application = "ai-video-worker" }, var.tags)

  # The role is allowed to invoke the function before there is one, so its ARN is put together here.
  function_name = var.name
  function_arn  = "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${local.function_name}"

  table_arn  = "arn:${local.partition}:dynamodb:${local.region}:${local.account}:table/${var.table.name}"
  bucket_arn = "arn:${local.partition}:s3:::${var.bucket.name}"

  # The worker's own prefix is a constant of its code.
  made_prefix = "ai-video/"

  counts_users = var.daily_usd != null || var.concurrent_jobs != null || var.limits_parameter != null
}

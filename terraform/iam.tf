# What the function may do.  Each statement says why it is there, and stands only when it is needed; the table in
# docs/deploy.md is made of them (`make docs`), and tests/terraform holds them against the calls in the code.
locals {
  statements = {
    MoveExecutions = {
      reason    = "A turn is a conditional write on the video's row; users and the quota are counted in control rows. A transaction of updates needs no more."
      when      = true
      actions   = ["dynamodb:UpdateItem"]
      resources = [local.table_arn]
      condition = {}
    }
    LookAtRows = {
      reason    = "A request looks at the video's row, the renderer at the quota's."
      when      = true
      actions   = ["dynamodb:GetItem"]
      resources = [local.table_arn]
      condition = {}
    }
    LookAtRowAndUser = {
      reason    = "A start reads the row and its user's control row at once, where users are counted."
      when      = local.counts_users
      actions   = ["dynamodb:BatchGetItem"]
      resources = [local.table_arn]
      condition = {}
    }
    FindDueByIndex = {
      reason    = "The sweep asks the due index, and nothing else of the table, for what is due."
      when      = var.table.due_index != ""
      actions   = ["dynamodb:Query"]
      resources = ["${local.table_arn}/index/${var.table.due_index}"]
      condition = {}
    }
    FindDueByScan = {
      reason    = "Without a due index the sweep has to read the table."
      when      = var.table.due_index == ""
      actions   = ["dynamodb:Scan"]
      resources = [local.table_arn]
      condition = {}
    }
    UseTableKey = {
      # DynamoDB decrypts the table's data key in the caller's name.  (AWS Knowledge Center, "AccessDeniedException when I
      # access an Amazon DynamoDB table"; aws-cdk #10010 and #19102, where writes failed for want of these; read 2026-11-23)
      reason    = "The table is encrypted with a key of the platform's own: without this every call on it is refused, a write as well as a read."
      when      = var.table.kms_key_arn != null
      actions   = ["kms:Decrypt", "kms:DescribeKey"]
      resources = [var.table.kms_key_arn]
      condition = { StringEquals = { "kms:ViaService" = "dynamodb.${local.region}.${local.dns_suffix}" } }
    }
    ReadObjects = {
      reason    = "Turns read the recording and what was made of it. Amazon Transcribe reads the recording, and people their videos by signed addresses, with this same right."
      when      = true
      actions   = ["s3:GetObject"]
      resources = [for prefix in local.readable_prefixes : "${local.bucket_arn}/${prefix}"]
      condition = {}
    }
    MakeObjects = {
      reason    = "Transcripts, plans, clips and videos, tagged where a lifecycle rule may remove them; a broken upload in parts is aborted. Amazon Transcribe writes with this same right."
      when      = true
      actions   = ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectTagging"]
      resources = ["${local.bucket_arn}/${local.made_prefix}*"]
      condition = {}
    }
    TellMissingFromForbidden = {
      reason    = "Nothing is listed. But S3 answers 403 for a missing object, not 404, to whoever may not list; such a request names no prefix, hence IfExists."
      when      = true
      actions   = ["s3:ListBucket"]
      resources = [local.bucket_arn]
      condition = { StringLikeIfExists = { "s3:prefix" = local.readable_prefixes } }
    }
    UseBucketKey = {
      reason    = "The bucket's objects are encrypted with a key of the platform's own."
      when      = var.bucket.kms_key_arn != null
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.bucket.kms_key_arn]
      condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
    }
    StartTranscriptions = {
      reason    = "Starting a transcription cannot be limited to a resource (WILDCARD); it is limited to transcripts below the worker's own prefix in the platform's bucket."
      when      = true
      actions   = ["transcribe:StartTranscriptionJob"]
      resources = ["*"]
      condition = {
        StringEquals = { "transcribe:OutputBucketName" = var.bucket.name }
        StringLike   = { "transcribe:OutputKey" = "${local.made_prefix}transcribe/*" }
      }
    }
    FollowTranscriptions = {
      reason    = "Looks how a transcription stands, and tags it at its start with the job that it belongs to. Its name begins with the video's id, which can be anything."
      when      = true
      actions   = ["transcribe:GetTranscriptionJob", "transcribe:TagResource"]
      resources = ["arn:${local.partition}:transcribe:${local.region}:${local.account}:transcription-job/*"]
      condition = {}
    }
    InvokeItself = {
      reason    = "The next turn is an asynchronous invocation of the function by itself."
      when      = true
      actions   = ["lambda:InvokeFunction"]
      resources = [local.function_arn]
      condition = {}
    }
    ReadVendorsKeys = {
      reason    = "The vendors' keys stand in the one secret."
      when      = true
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [aws_secretsmanager_secret.vendors.arn]
      condition = {}
    }
    UseSecretKey = {
      reason    = "The secret is encrypted with a key of the platform's own."
      when      = var.secret_kms_key_arn != null
      actions   = ["kms:Decrypt"]
      resources = [var.secret_kms_key_arn]
      condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${local.region}.${local.dns_suffix}" } }
    }
    ReadLimits = {
      reason    = "Limits and the kill switch stand in a parameter."
      when      = var.limits_parameter != null
      actions   = ["ssm:GetParameter"]
      resources = ["arn:${local.partition}:ssm:${local.region}:${local.account}:parameter/${local.limits_parameter}"]
      condition = {}
    }
    TellBus = {
      reason    = "The end of every job is told to the platform's bus."
      when      = var.completion_bus != null
      actions   = ["events:PutEvents"]
      resources = [local.completion_bus_arn]
      condition = {}
    }
    TellTopic = {
      reason    = "The end of every job is told to the platform's topic."
      when      = var.completion_topic_arn != null
      actions   = ["sns:Publish"]
      resources = [var.completion_topic_arn]
      condition = {}
    }
    WriteLogs = {
      reason    = "Logs and metrics are lines in the function's own log group, which Terraform makes."
      when      = true
      actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      resources = ["${aws_cloudwatch_log_group.function.arn}:*"]
      condition = {}
    }
  }

  readable_prefixes = [for prefix in distinct(concat(var.bucket.recordings_prefixes, [local.made_prefix])) : "${prefix}*"]
  limits_parameter  = trimprefix(coalesce(var.limits_parameter, "-"), "/") # no ARN has the slash twice

  completion_bus_arn = startswith(coalesce(var.completion_bus, "-"), "arn:") ? var.completion_bus : "arn:${local.partition}:events:${local.region}:${local.account}:event-bus/${coalesce(var.completion_bus, "-")}"

  # JSON made here and not by aws_iam_policy_document, which is noise under a mocked provider: so `terraform test` sees it.
  policy = {
    Version = "2012-10-17"
    Statement = [
      for sid, statement in local.statements : merge(
        { Sid = sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources },
        length(statement.condition) == 0 ? {} : { Condition = statement.condition },
      ) if statement.when
    ]
  }
}

resource "aws_iam_role" "function" {
  name                 = "${var.name}-function"
  description          = "What the function ${var.name} may do."
  permissions_boundary = var.permissions_boundary_arn
  tags                 = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Lambda"
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  name   = "ai-video"
  role   = aws_iam_role.function.name
  policy = jsonencode(local.policy)
}

resource "aws_iam_role" "schedule" {
  name                 = "${var.name}-schedule"
  description          = "What the schedule of ${var.name} may do."
  permissions_boundary = var.permissions_boundary_arn
  tags                 = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Scheduler"
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      # Nobody else's schedule may use this role.  (EventBridge Scheduler asks for the group's ARN, not the schedule's.)
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.account
          "aws:SourceArn"     = "arn:${local.partition}:scheduler:${local.region}:${local.account}:schedule-group/default"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  name = "ai-video-sweep"
  role = aws_iam_role.schedule.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "InvokeFunction"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [local.function_arn]
    }]
  })
}

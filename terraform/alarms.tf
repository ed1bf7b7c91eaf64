locals {
  # As worker/telemetry.py writes them.
  metrics_namespace = "AiVideo"
  metrics_service   = { service = local.environment["POWERTOOLS_SERVICE_NAME"] }
  of_function       = { FunctionName = local.function_name }

  alarms = {
    failed-jobs = {
      description = "A job failed. Its row says why (ai_generation_data, error), the log has its turn."
      threshold   = var.alarms.failed_jobs
      namespace   = local.metrics_namespace
      metric      = "Failures"
      dimensions  = local.metrics_service
    }
    oldest-due = {
      description = "A row was woken too late: the sweep does not keep up, or invocations are throttled. Unit: seconds."
      threshold   = var.alarms.oldest_due_seconds
      namespace   = local.metrics_namespace
      metric      = "OldestDueSeconds"
      dimensions  = local.metrics_service
      statistic   = "Maximum"
    }
    sweep-silent = {
      description = "No sweep has ended for some minutes: nothing that waits goes on. Look at the schedule, its role, and the function's errors."
      threshold   = 1
      namespace   = local.metrics_namespace
      metric      = "Sweeps"
      dimensions  = local.metrics_service
      period      = 60
      periods     = var.alarms.silent_minutes
      comparison  = "LessThanThreshold"
      missing     = "breaching" # silence is the alarm
    }
    throttles = {
      description = "Lambda refuses invocations: the account's or the function's concurrency is used up. Turns come late; people get 429 or 500."
      threshold   = var.alarms.throttles
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = local.of_function
    }
    errors = {
      description = "Invocations ended with an error, by timeout or without memory. The sweep takes the turn again, twice at most."
      threshold   = var.alarms.errors
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = local.of_function
    }
    # What goes on failing without anybody's request, a damaged row for instance, is met by a sweep: once a minute.
    store-errors = {
      description = "The table refuses or does not answer: throttled, or the role lacks a right. The log says which."
      threshold   = var.alarms.store_errors
      namespace   = local.metrics_namespace
      metric      = "StoreErrors"
      dimensions  = local.metrics_service
    }
    parked = {
      description = "A job stands in a state that the deployed version does not know. It is looked at again every 10 minutes, later daily; deploy a version that knows the state."
      threshold   = var.alarms.parked
      namespace   = local.metrics_namespace
      metric      = "ParkedTurns"
      dimensions  = local.metrics_service
    }
    after-work = {
      description = "The end of a job could not be told, or its user's slot not be released, for a day. The log says why; nothing tries it again."
      threshold   = var.alarms.after_work
      namespace   = local.metrics_namespace
      metric      = "AfterWorkGivenUp"
      dimensions  = local.metrics_service
    }
    daily-spend = {
      description = "Clips for more than this many USD were ordered within 24 hours, by all users. The kill switch: AI_VIDEO_STARTS, or {\"starts\": false} in the limits' parameter."
      threshold   = var.alarms.daily_usd
      namespace   = local.metrics_namespace
      metric      = "SpentUsd"
      dimensions  = local.metrics_service
      period      = 86400
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, alarm in local.alarms : name => alarm if !contains(var.without_alarms, name) }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = try(each.value.statistic, "Sum")
  period              = try(each.value.period, 300)
  evaluation_periods  = try(each.value.periods, 1)
  threshold           = each.value.threshold
  comparison_operator = try(each.value.comparison, "GreaterThanThreshold")
  treat_missing_data  = try(each.value.missing, "notBreaching")
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = local.tags
}

locals {
  widgets = [
    { title = "Jobs and turns", statistic = "Sum", metrics = ["Turns", "Failures", "Retries", "LostTurns"] },
    { title = "Spent, USD", statistic = "Sum", metrics = ["SpentUsd"] },
    { title = "Sweeps", statistic = "Sum", metrics = ["Sweeps", "SweepDispatched", "SweepFailures"] },
    { title = "Oldest due, seconds", statistic = "Maximum", metrics = ["OldestDueSeconds"] },
    { title = "Requests", statistic = "Sum", metrics = ["ApiRequests", "ApiErrors", "StoreErrors"] },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = concat(
      [
        for number, widget in local.widgets : {
          type   = "metric"
          x      = number % 2 * 12
          y      = floor(number / 2) * 6
          width  = 12
          height = 6
          properties = {
            title   = widget.title
            region  = local.region
            stat    = widget.statistic
            period  = 300
            metrics = [for metric in widget.metrics : [local.metrics_namespace, metric, "service", local.metrics_service.service]]
          }
        }
      ],
      [{
        type   = "metric"
        x      = 12
        y      = 12
        width  = 12
        height = 6
        properties = {
          title   = "The function"
          region  = local.region
          stat    = "Sum"
          period  = 300
          metrics = [for metric in ["Invocations", "Errors", "Throttles", "AsyncEventsDropped"] : ["AWS/Lambda", metric, "FunctionName", local.function_name]]
        }
      }],
    )
  })
}

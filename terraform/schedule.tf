# The clock of everything that waits.  It runs also while nothing is active: 43,200 short invocations a month.
resource "aws_scheduler_schedule" "sweep" {
  name                = "${var.name}-sweep"
  description         = "Wakes what is due in ${var.name}."
  schedule_expression = "rate(1 minute)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.worker.arn
    role_arn = aws_iam_role.schedule.arn
    input    = jsonencode({ source = "aws.scheduler", "detail-type" = "Scheduled Event" })

    # The next minute comes anyway.
    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 60
    }
  }

  depends_on = [
    aws_iam_role_policy.schedule,
    aws_lambda_function_event_invoke_config.worker,
    aws_lambda_function_recursion_config.worker,
  ]
}

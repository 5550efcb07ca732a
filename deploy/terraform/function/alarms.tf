locals {
  # Metrics that must be zero in every period, except for silence.
  alarms = {
    errors = {
      description = "An invocation of ${var.name} failed: something wasn't rotated or retired. See its log."
      periods     = 1
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = var.name }
    }
    throttles = {
      description = "Invocations of ${var.name} were throttled for an hour: there are too many for one at a time."
      periods     = 12
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = var.name }
    }
    dead-letters = {
      description = "Invocations of ${var.name} failed permanently and are in ${aws_sqs_queue.dead_letters.name}."
      periods     = 1
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.dead_letters.name }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = each.value.periods
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

# Nothing else shows that the schedule itself has stopped.
resource "aws_cloudwatch_metric_alarm" "silence" {
  count = var.schedule == null ? 0 : 1

  alarm_name          = "${var.name}-silence"
  alarm_description   = "${var.name} wasn't invoked for a day: nothing is rotated."
  namespace           = "AWS/Lambda"
  metric_name         = "Invocations"
  dimensions          = { FunctionName = var.name }
  statistic           = "Sum"
  period              = 86400
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

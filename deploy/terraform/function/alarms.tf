locals {
  # What may happen in none of the periods, but for silence.
  alarms = {
    errors = {
      description = "A call of ${var.name} failed: something was not rotated, or not retired. Its log says what."
      periods     = 1
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = { FunctionName = var.name }
    }
    throttles = {
      description = "Calls of ${var.name} were turned away for an hour: there are too many for one at a time."
      periods     = 12
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = { FunctionName = var.name }
    }
    dead-letters = {
      description = "Calls of ${var.name} failed for good and wait in ${aws_sqs_queue.dead_letters.name}."
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

# Nothing else tells that the schedule itself has stopped.
resource "aws_cloudwatch_metric_alarm" "silence" {
  count = var.schedule == null ? 0 : 1

  alarm_name          = "${var.name}-silence"
  alarm_description   = "${var.name} was not called for a day: nothing is kept fresh."
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

# The date from which the schedules count.
resource "time_static" "begun" {}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:The event holds names; the key is the user's choice.
  for_each = local.schedules

  name                = "${var.name}-${each.key}"
  description         = "Day ${each.value} of the key of ${var.name}: ${each.key}"
  schedule_expression = var.rotate_every_days == 1 ? "rate(1 day)" : "rate(${var.rotate_every_days} days)"
  kms_key_arn         = var.kms_key_arn
  start_date          = timeadd(time_static.begun.rfc3339, "${each.value * 24}h")

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = var.function.function_arn
    role_arn = var.function.scheduler_role_arn
    input    = jsonencode(merge({ action = each.key }, local.event))
    retry_policy {
      maximum_event_age_in_seconds = 86400
      maximum_retry_attempts       = 5
    }
    dead_letter_config {
      arn = var.function.dead_letter_queue_arn
    }
  }
}

# The first key, made by the function: neither this state nor a plan holds it.
resource "aws_lambda_invocation" "first_key" {
  count = var.first_key && var.rotate_by != "none" ? 1 : 0

  function_name = var.function.function_name
  input         = jsonencode(merge({ action = "create" }, local.event))
  depends_on    = [aws_iam_role_policy.function]

  lifecycle {
    ignore_changes = [input] # a renamed secret is no reason for a new key
  }
}

resource "aws_secretsmanager_secret_rotation" "this" {
  count = var.rotate_by == "secrets_manager" ? 1 : 0

  secret_id           = aws_secretsmanager_secret.this.id
  rotation_lambda_arn = var.function.function_arn
  rotate_immediately  = false

  rotation_rules {
    automatically_after_days = var.rotate_every_days
  }

  depends_on = [aws_lambda_invocation.first_key]
}

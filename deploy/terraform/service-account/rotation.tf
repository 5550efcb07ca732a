# Each asks every day, and the event says from which day on there is something to
# do: so what failed, or was held since somebody uses the old key, is done on a
# later day. Lambda itself tries a failed event for some minutes only.
resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:The event holds names; the key is the user's choice.
  for_each = local.schedules

  name                = "${var.name}-${each.key}"
  description         = "${var.name}, after ${each.value.after} days: ${each.value.says}"
  schedule_expression = "rate(1 day)"
  kms_key_arn         = var.kms_key_arn
  depends_on          = [aws_iam_role_policy.function]

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 60
  }

  target {
    arn      = var.function.function_arn
    role_arn = var.function.scheduler_role_arn
    input    = jsonencode(merge({ action = each.key, after_days = each.value.after }, local.event))
    dead_letter_config {
      arn = var.function.dead_letter_queue_arn
    }
  }
}

# The first key, made by the function: neither this state nor a plan holds it.
resource "aws_lambda_invocation" "first_key" {
  count = var.first_key && var.rotate_by != "none" ? 1 : 0

  function_name = var.function.function_name
  input         = jsonencode(merge({ action = "create", after_days = var.rotate_every_days }, local.event))
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

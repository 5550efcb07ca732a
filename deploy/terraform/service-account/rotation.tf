# The schedules' role reads what they send with the key.
data "aws_iam_policy_document" "schedules" {
  count = length(local.schedules) == 0 || var.kms_key_arn == null ? 0 : 1

  statement {
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.kms_key_arn]
  }
}

resource "aws_iam_role_policy" "schedules" {
  count = length(data.aws_iam_policy_document.schedules)

  name   = "service-account-key-${var.name}"
  role   = var.function.scheduler_role_name
  policy = data.aws_iam_policy_document.schedules[0].json
}

# Each sends an event regularly, which says from which day on there's something to
# do. So whatever failed, or was held because the old key is still in use, is done
# on a later day. Lambda itself retries a failed event only for some minutes.
resource "aws_scheduler_schedule" "this" {
  for_each = local.schedules

  name                = "${local.label}-${each.key}"
  description         = "${var.name}, after ${each.value.after} days: ${each.value.says}"
  schedule_expression = "rate(${each.value.every})"
  kms_key_arn         = var.kms_key_arn
  depends_on          = [aws_iam_role_policy.function, aws_iam_role_policy.schedules]

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = each.value.window
  }

  target {
    arn      = var.function.function_arn
    role_arn = var.function.scheduler_role_arn
    input    = jsonencode(merge({ after_days = each.value.after }, each.value.what, local.event))
    dead_letter_config {
      arn = var.function.dead_letter_queue_arn
    }
  }
}

# The first key, created by the function: it's in neither the state nor a plan.
resource "aws_lambda_invocation" "first_key" {
  count = var.first_key && var.rotate_by != "none" ? 1 : 0

  function_name = var.function.function_name
  input         = jsonencode(merge({ after_days = var.rotate_every_days }, local.by_gitlab ? { gitlab_project_id = var.gitlab_project_id } : { action = "create" }, local.event))
  depends_on    = [aws_iam_role_policy.function]

  lifecycle {
    ignore_changes = [input] # renaming the secret doesn't require a new key
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

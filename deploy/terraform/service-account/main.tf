locals {
  secret_name = coalesce(var.secret_name, var.name)
  label       = coalesce(var.label, var.name)
  by_gitlab   = var.rotate_by == "schedules" && var.gitlab_project_id != null
  # The events, how often they're sent, and after how many days they do something.
  schedules = merge(
    var.rotate_by != "schedules" || local.by_gitlab ? {} : {
      create     = { every = "1 day", window = 60, after = var.rotate_every_days, says = "a new key", what = { action = "create" } }
      deactivate = { every = "1 day", window = 60, after = var.deactivate_previous_after_days, says = "the previous key is deactivated if nobody uses it", what = { action = "deactivate" } }
      delete     = { every = "1 day", window = 60, after = var.delete_previous_after_days, says = "the previous key is deleted", what = { action = "delete" } }
    },
    # Each event goes as far as it can without waiting for a pipeline.
    !local.by_gitlab ? {} : {
      gitlab = { every = "15 minutes", window = 5, after = var.rotate_every_days, says = "a new key, deployed by GitLab", what = { gitlab_project_id = var.gitlab_project_id } }
    },
  )
  event = { username = aws_iam_user.this.name, secret = aws_secretsmanager_secret.this.name }
}

resource "aws_iam_user" "this" {
  name                 = var.name
  path                 = var.path
  permissions_boundary = var.permissions_boundary
  force_destroy        = true # its keys belong to Rota and are unknown to Terraform
  tags                 = var.tags

  lifecycle {
    precondition {
      condition     = var.rotate_by != "schedules" || var.gitlab_project_id != null || var.deactivate_previous_after_days + var.delete_previous_after_days < var.rotate_every_days
      error_message = "The previous key must be deleted before the next rotation: a user can have at most two keys."
    }
  }
}

resource "aws_iam_user_policy_attachment" "this" {
  for_each = var.policy_arns

  user       = aws_iam_user.this.name
  policy_arn = each.value
}

resource "aws_iam_user_policy" "this" {
  count = var.policy == null ? 0 : 1

  name   = "service-account"
  user   = aws_iam_user.this.name
  policy = var.policy
}

# Only the entry: its value belongs to Rota, so there is no version here and
# nothing of it in the state.
resource "aws_secretsmanager_secret" "this" {
  name                    = local.secret_name
  description             = "Access key of the IAM user ${var.name}, kept fresh by Rota"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_window_days
  tags                    = merge(var.tags, { "rota:iam-user" = var.name, "rota:topic" = aws_sns_topic.this.arn })

  lifecycle {
    # Rota's records of a key that it's creating, and of its deployment.
    ignore_changes = [tags["rota:intent"], tags["rota:gitlab-project"], tags["rota:gitlab-pipeline"]]
  }
}

resource "aws_sns_topic" "this" {
  name              = "${local.label}-key"
  kms_master_key_id = coalesce(var.kms_key_arn, "alias/aws/sns")
  tags              = var.tags
}

resource "aws_sns_topic_subscription" "this" {
  for_each = var.emails

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

# What the function may do for this user, and for no other.
data "aws_iam_policy_document" "function" {
  statement {
    sid = "Keys"
    actions = [
      "iam:CreateAccessKey", "iam:DeleteAccessKey", "iam:GetAccessKeyLastUsed", "iam:ListAccessKeys", "iam:UpdateAccessKey",
    ]
    resources = [aws_iam_user.this.arn]
  }
  statement {
    sid = "Secret"
    actions = [
      "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:ListSecretVersionIds", "secretsmanager:PutSecretValue",
      "secretsmanager:TagResource", "secretsmanager:UntagResource", "secretsmanager:UpdateSecretVersionStage",
    ]
    resources = [aws_secretsmanager_secret.this.arn]
  }
  statement {
    sid       = "Topic"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.this.arn]
  }
  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]
    content {
      sid       = "Key"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "function" {
  name   = "service-account-${var.name}"
  role   = var.function.role_name
  policy = data.aws_iam_policy_document.function.json
}

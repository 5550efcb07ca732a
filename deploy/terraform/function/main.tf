data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.region
  # Known before the function exists, so that the role can refer to it.
  function_arn = "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.name}"
  own_config   = var.config != null
  location     = local.own_config ? "ssm://${aws_ssm_parameter.config[0].name}" : var.config_location
  variables = merge(
    local.location == null ? {} : { ROTA_CONFIG = local.location },
    var.gitlab == null ? {} : { GITLAB_URL = var.gitlab.url, GITLAB_TOKEN_SECRET = var.gitlab.token_secret_arn },
    var.unused_for == null ? {} : { ROTA_UNUSED_FOR = var.unused_for },
    var.environment,
  )
}

resource "aws_ssm_parameter" "config" {
  count = local.own_config ? 1 : 0

  name        = "/rota/${var.name}/rota.yaml"
  description = "The rota.yaml of ${var.name}"
  type        = "SecureString"
  key_id      = var.kms_key_arn
  tier        = "Intelligent-Tiering"
  value       = var.config
  tags        = var.tags
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

# Receives invocations that failed permanently: the request, without values.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  message_retention_seconds = 1209600
  kms_master_key_id         = var.kms_key_arn
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  tags                      = var.tags
}

resource "aws_lambda_function" "this" {
  function_name    = var.name
  description      = "Rota: rotates credentials end to end"
  role             = aws_iam_role.function.arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  timeout          = var.timeout
  memory_size      = var.memory

  # AWS drops the key and the block of a function without variables, and every
  # plan would want them back.
  kms_key_arn = length(local.variables) == 0 ? null : var.kms_key_arn

  # One at a time: there is no database for two to coordinate in.
  reserved_concurrent_executions = var.reserved_concurrency

  dynamic "environment" {
    for_each = length(local.variables) == 0 ? [] : [local.variables]
    content {
      variables = environment.value
    }
  }

  dead_letter_config {
    target_arn = aws_sqs_queue.dead_letters.arn
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  tracing_config {
    mode = "PassThrough"
  }

  tags       = var.tags
  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.function]
}

resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 21600
}

# Secrets Manager invokes the function for secrets that name it for their rotation.
resource "aws_lambda_permission" "secrets_manager" {
  statement_id   = "SecretsManager"
  function_name  = aws_lambda_function.this.function_name
  action         = "lambda:InvokeFunction"
  principal      = "secretsmanager.amazonaws.com"
  source_account = local.account
}

resource "aws_scheduler_schedule" "sweep" {
  count = var.schedule == null ? 0 : 1

  name                = "${var.name}-run"
  description         = "Makes ${var.name} do what is due"
  schedule_expression = var.schedule
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 5
  }

  target {
    arn      = aws_lambda_function.this.arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ action = "run" })
    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
  }
}

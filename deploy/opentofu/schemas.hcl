# The kinds of hashicorp/aws that the modules use, as its documentation describes
# them. An attribute is a type (string,
# number, bool, strings, map), and required, computed or write_only where it is;
# "optional computed" may be given or left to the provider.
# "known" is what the provider says once a resource is made, made of its other
# attributes; each may use those before it.

resource "aws_cloudwatch_log_group" {
  attributes = {
    name              = "string"
    retention_in_days = "number"
    kms_key_id        = "string"
    tags              = "map"
    tags_all          = "map computed"
    arn               = "string computed"
    id                = "string computed"
  }
  known = {
    arn      = "arn:aws:logs:eu-central-1:111122223333:log-group:${name}"
    id       = name
    tags_all = tags
  }
}

resource "aws_cloudwatch_metric_alarm" {
  attributes = {
    alarm_name          = "string required"
    alarm_description   = "string"
    namespace           = "string"
    metric_name         = "string"
    dimensions          = "map"
    statistic           = "string"
    period              = "number"
    evaluation_periods  = "number required"
    datapoints_to_alarm = "number"
    comparison_operator = "string required"
    threshold           = "number"
    treat_missing_data  = "string"
    alarm_actions       = "strings"
    ok_actions          = "strings"
    tags                = "map"
    tags_all            = "map computed"
    arn                 = "string computed"
    id                  = "string computed"
  }
  known = {
    arn      = "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:${alarm_name}"
    id       = alarm_name
    tags_all = tags
  }
}

resource "aws_db_instance" {
  attributes = {
    identifier                      = "string"
    engine                          = "string"
    engine_version                  = "string"
    instance_class                  = "string required"
    allocated_storage               = "number"
    db_name                         = "string"
    username                        = "string"
    password                        = "string"
    password_wo                     = "string write_only"
    password_wo_version             = "number"
    db_subnet_group_name            = "string"
    vpc_security_group_ids          = "strings"
    storage_encrypted               = "bool"
    multi_az                        = "bool"
    backup_retention_period         = "number"
    deletion_protection             = "bool"
    copy_tags_to_snapshot           = "bool"
    auto_minor_version_upgrade      = "bool"
    enabled_cloudwatch_logs_exports = "strings"
    address                         = "string computed"
    port                            = "number computed"
    arn                             = "string computed"
    id                              = "string computed"
  }
  known = {
    arn     = "arn:aws:rds:eu-central-1:111122223333:db:${identifier}"
    address = "${identifier}.abcdefghijkl.eu-central-1.rds.amazonaws.com"
    port    = 5432
    id      = "db-ABCDEFGHIJKL"
  }
}

resource "aws_db_subnet_group" {
  attributes = {
    name       = "string"
    subnet_ids = "strings required"
    arn        = "string computed"
    id         = "string computed"
  }
  known = {
    arn = "arn:aws:rds:eu-central-1:111122223333:subgrp:${name}"
    id  = name
  }
}

resource "aws_iam_role" {
  attributes = {
    name                 = "string"
    assume_role_policy   = "string required"
    permissions_boundary = "string"
    tags                 = "map"
    tags_all             = "map computed"
    arn                  = "string computed"
    id                   = "string computed"
  }
  known = {
    arn      = "arn:aws:iam::111122223333:role/${name}"
    id       = name
    tags_all = tags
  }
}

resource "aws_iam_role_policy" {
  attributes = {
    name   = "string"
    role   = "string required"
    policy = "string required"
    id     = "string computed"
  }
  known = {
    id = "${role}:${name}"
  }
}

resource "aws_iam_role_policy_attachment" {
  attributes = {
    role       = "string required"
    policy_arn = "string required"
    id         = "string computed"
  }
  known = {
    id = "${role}/${policy_arn}"
  }
}

resource "aws_iam_user" {
  attributes = {
    name                 = "string required"
    path                 = "string"
    permissions_boundary = "string"
    force_destroy        = "bool"
    tags                 = "map"
    tags_all             = "map computed"
    arn                  = "string computed"
    id                   = "string computed"
    unique_id            = "string computed"
  }
  known = {
    arn       = "arn:aws:iam::111122223333:user${path}${name}"
    id        = name
    unique_id = "AIDAEXAMPLE"
    tags_all  = tags
  }
}

resource "aws_iam_user_policy" {
  attributes = {
    name   = "string"
    user   = "string required"
    policy = "string required"
    id     = "string computed"
  }
  known = {
    id = "${user}:${name}"
  }
}

resource "aws_iam_user_policy_attachment" {
  attributes = {
    user       = "string required"
    policy_arn = "string required"
    id         = "string computed"
  }
  known = {
    id = "${user}/${policy_arn}"
  }
}

resource "aws_lambda_function" {
  attributes = {
    function_name                  = "string required"
    description                    = "string"
    role                           = "string required"
    runtime                        = "string"
    handler                        = "string"
    architectures                  = "strings"
    filename                       = "string"
    source_code_hash               = "string"
    timeout                        = "number"
    memory_size                    = "number"
    kms_key_arn                    = "string"
    reserved_concurrent_executions = "number"
    tags                           = "map"
    tags_all                       = "map computed"
    arn                            = "string computed"
    id                             = "string computed"
  }
  known = {
    arn      = "arn:aws:lambda:eu-central-1:111122223333:function:${function_name}"
    id       = function_name
    tags_all = tags
  }
  nested "environment" {
    attributes = {
      variables = "map"
    }
  }
  nested "dead_letter_config" {
    attributes = {
      target_arn = "string required"
    }
  }
  nested "vpc_config" {
    attributes = {
      subnet_ids         = "strings required"
      security_group_ids = "strings required"
    }
  }
  nested "tracing_config" {
    attributes = {
      mode = "string required"
    }
  }
}

resource "aws_lambda_function_event_invoke_config" {
  attributes = {
    function_name                = "string required"
    qualifier                    = "string"
    maximum_retry_attempts       = "number"
    maximum_event_age_in_seconds = "number"
    id                           = "string computed"
  }
  known = {
    id = function_name
  }
}

resource "aws_lambda_invocation" {
  attributes = {
    function_name = "string required"
    input         = "string required"
    qualifier     = "string"
    triggers      = "map"
    result        = "string computed"
    id            = "string computed"
  }
  known = {
    result = "{}"
    id     = function_name
  }
}

resource "aws_lambda_permission" {
  attributes = {
    statement_id   = "string"
    function_name  = "string required"
    action         = "string required"
    principal      = "string required"
    source_account = "string"
    source_arn     = "string"
    id             = "string computed"
  }
  known = {
    id = statement_id
  }
}

resource "aws_scheduler_schedule" {
  attributes = {
    name                         = "string"
    group_name                   = "string"
    description                  = "string"
    schedule_expression          = "string required"
    schedule_expression_timezone = "string"
    start_date                   = "string"
    end_date                     = "string"
    state                        = "string"
    kms_key_arn                  = "string"
    arn                          = "string computed"
    id                           = "string computed"
  }
  known = {
    arn = "arn:aws:scheduler:eu-central-1:111122223333:schedule/default/${name}"
    id  = "default/${name}"
  }
  nested "flexible_time_window" {
    required = true
    attributes = {
      mode                      = "string required"
      maximum_window_in_minutes = "number"
    }
  }
  nested "target" {
    required = true
    attributes = {
      arn      = "string required"
      role_arn = "string required"
      input    = "string"
    }
    nested "retry_policy" {
      attributes = {
        maximum_event_age_in_seconds = "number"
        maximum_retry_attempts       = "number"
      }
    }
    nested "dead_letter_config" {
      attributes = {
        arn = "string required"
      }
    }
  }
}

resource "aws_secretsmanager_secret" {
  attributes = {
    name                    = "string"
    description             = "string"
    kms_key_id              = "string"
    policy                  = "string"
    recovery_window_in_days = "number"
    tags                    = "map"
    tags_all                = "map computed"
    arn                     = "string computed"
    id                      = "string computed"
  }
  known = {
    arn      = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:${name}-AbCdEf"
    id       = arn
    tags_all = tags
  }
}

resource "aws_secretsmanager_secret_rotation" {
  attributes = {
    secret_id           = "string required"
    rotation_lambda_arn = "string"
    rotate_immediately  = "bool"
    rotation_enabled    = "bool computed"
    id                  = "string computed"
  }
  known = {
    rotation_enabled = true
    id               = secret_id
  }
  nested "rotation_rules" {
    required = true
    attributes = {
      automatically_after_days = "number"
      duration                 = "string"
      schedule_expression      = "string"
    }
  }
}

resource "aws_secretsmanager_secret_version" {
  attributes = {
    secret_id                = "string required"
    secret_string            = "string"
    secret_string_wo         = "string write_only"
    secret_string_wo_version = "number"
    version_stages           = "strings optional computed"
    version_id               = "string computed"
    arn                      = "string computed"
    id                       = "string computed"
  }
  known = {
    version_id     = "6b29fc40-ca47-4067-b31d-00dd010662da"
    version_stages = ["AWSCURRENT"]
    arn            = secret_id
    id             = "${secret_id}|${version_id}"
  }
}

resource "aws_sns_topic" {
  attributes = {
    name              = "string"
    kms_master_key_id = "string"
    tags              = "map"
    tags_all          = "map computed"
    arn               = "string computed"
    id                = "string computed"
  }
  known = {
    arn      = "arn:aws:sns:eu-central-1:111122223333:${name}"
    id       = arn
    tags_all = tags
  }
}

resource "aws_sns_topic_subscription" {
  attributes = {
    topic_arn = "string required"
    protocol  = "string required"
    endpoint  = "string required"
    arn       = "string computed"
    id        = "string computed"
  }
  known = {
    arn = "${topic_arn}:6b29fc40-ca47-4067-b31d-00dd010662da"
    id  = arn
  }
}

resource "aws_sqs_queue" {
  attributes = {
    name                      = "string"
    message_retention_seconds = "number"
    kms_master_key_id         = "string"
    sqs_managed_sse_enabled   = "bool"
    policy                    = "string"
    tags                      = "map"
    tags_all                  = "map computed"
    arn                       = "string computed"
    url                       = "string computed"
    id                        = "string computed"
  }
  known = {
    arn      = "arn:aws:sqs:eu-central-1:111122223333:${name}"
    url      = "https://sqs.eu-central-1.amazonaws.com/111122223333/${name}"
    id       = url
    tags_all = tags
  }
}

resource "aws_ssm_parameter" {
  attributes = {
    name        = "string required"
    description = "string"
    type        = "string required"
    key_id      = "string"
    tier        = "string"
    value       = "string"
    tags        = "map"
    tags_all    = "map computed"
    arn         = "string computed"
    id          = "string computed"
    version     = "number computed"
  }
  known = {
    arn      = "arn:aws:ssm:eu-central-1:111122223333:parameter${name}"
    id       = name
    version  = 1
    tags_all = tags
  }
}

data "aws_caller_identity" {
  attributes = {
    account_id = "string computed"
    arn        = "string computed"
    user_id    = "string computed"
    id         = "string computed"
  }
  known = {
    account_id = "111122223333"
    arn        = "arn:aws:iam::111122223333:user/somebody"
    user_id    = "AIDAEXAMPLE"
    id         = account_id
  }
}

data "aws_iam_policy_document" {
  attributes = {
    json = "string computed" # see document.go
    id   = "string computed"
  }
  known = {
    id = "1"
  }
  nested "statement" {
    attributes = {
      sid         = "string"
      effect      = "string"
      actions     = "strings"
      not_actions = "strings"
      resources   = "strings"
    }
    nested "principals" {
      attributes = {
        type        = "string required"
        identifiers = "strings required"
      }
    }
    nested "condition" {
      attributes = {
        test     = "string required"
        variable = "string required"
        values   = "strings required"
      }
    }
  }
}

data "aws_partition" {
  attributes = {
    partition  = "string computed"
    dns_suffix = "string computed"
    id         = "string computed"
  }
  known = {
    partition  = "aws"
    dns_suffix = "amazonaws.com"
    id         = partition
  }
}

data "aws_region" {
  attributes = {
    region      = "string computed"
    description = "string computed"
    endpoint    = "string computed"
    id          = "string computed"
  }
  known = {
    region = "eu-central-1"
    id     = region
  }
}

ephemeral "aws_secretsmanager_random_password" {
  attributes = {
    password_length            = "number"
    exclude_characters         = "string"
    exclude_numbers            = "bool"
    exclude_punctuation        = "bool"
    exclude_lowercase          = "bool"
    exclude_uppercase          = "bool"
    include_space              = "bool"
    require_each_included_type = "bool"
    random_password            = "string computed"
  }
  known = {
    random_password = "made-up-by-the-stand-in-0123456789abcdef"
  }
}

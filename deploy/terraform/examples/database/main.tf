# A PostgreSQL password that the function rotates for Secrets Manager. No password,
# not even the first, is in the state.
terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

variable "subnet_ids" {
  description = "Where the database and the function are."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups that let the function reach the database and Secrets Manager's endpoint."
  type        = list(string)
}

module "rota" {
  source = "../../function"

  # Built with: make lambda WITH=global-bundle.pem, with RDS's certificate authorities from
  # https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem
  package     = "${path.module}/../../../../dist/rota-lambda-arm64.zip"
  environment = { PGSSLROOTCERT = "/var/task/global-bundle.pem" }
  schedule    = null # Secrets Manager invokes it
  vpc         = { subnet_ids = var.subnet_ids, security_group_ids = var.security_group_ids }
  policies    = { orders = data.aws_iam_policy_document.orders.json }
}

data "aws_iam_policy_document" "orders" {
  statement {
    actions = [
      "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:ListSecretVersionIds", "secretsmanager:PutSecretValue",
      "secretsmanager:TagResource", "secretsmanager:UntagResource", "secretsmanager:UpdateSecretVersionStage",
    ]
    resources = [aws_secretsmanager_secret.orders.arn]
  }
}

ephemeral "aws_secretsmanager_random_password" "first" {
  password_length     = 40
  exclude_punctuation = true
}

resource "aws_db_subnet_group" "orders" {
  name       = "orders"
  subnet_ids = var.subnet_ids
}

resource "aws_db_instance" "orders" {
  identifier                      = "orders"
  engine                          = "postgres"
  engine_version                  = "17"
  instance_class                  = "db.t4g.micro"
  allocated_storage               = 20
  db_name                         = "orders"
  username                        = "orders"
  password_wo                     = ephemeral.aws_secretsmanager_random_password.first.random_password
  password_wo_version             = 1 # never raised: the password belongs to Rota from then on
  db_subnet_group_name            = aws_db_subnet_group.orders.name
  vpc_security_group_ids          = var.security_group_ids
  storage_encrypted               = true
  multi_az                        = true
  backup_retention_period         = 14
  deletion_protection             = true
  copy_tags_to_snapshot           = true
  auto_minor_version_upgrade      = true
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
}

resource "aws_secretsmanager_secret" "orders" {
  name = "prod/orders-db"
}

resource "aws_secretsmanager_secret_version" "first" {
  secret_id = aws_secretsmanager_secret.orders.id
  secret_string_wo = jsonencode({
    engine   = "postgres"
    host     = aws_db_instance.orders.address
    port     = aws_db_instance.orders.port
    dbname   = "orders"
    username = "orders"
    password = ephemeral.aws_secretsmanager_random_password.first.random_password
  })
  secret_string_wo_version = 1

  lifecycle {
    ignore_changes = [version_stages] # Rota and Secrets Manager move them
  }
}

resource "aws_secretsmanager_secret_rotation" "orders" {
  secret_id           = aws_secretsmanager_secret.orders.id
  rotation_lambda_arn = module.rota.function_arn

  rotation_rules {
    automatically_after_days = 30
    duration                 = "3h"
  }

  depends_on = [aws_secretsmanager_secret_version.first]
}

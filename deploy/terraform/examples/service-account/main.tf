# A function, and one service account in a block that a team can copy.
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

module "rota" {
  source = "../../function"

  package  = "${path.module}/../../../../dist/rota-lambda-arm64.zip"
  schedule = null # the service accounts have their own
}

module "cms" {
  source = "../../service-account"

  name     = "prod-cms-binary-leancms-s3-user"
  function = module.rota
  policy   = data.aws_iam_policy_document.cms.json
  emails   = ["cms-team@example.org"]
}

data "aws_iam_policy_document" "cms" {
  statement {
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["arn:aws:s3:::binary-leancms/*"]
  }
}

output "secret_arn" {
  value = module.cms.secret_arn
}

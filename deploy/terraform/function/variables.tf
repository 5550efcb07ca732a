variable "name" {
  description = "The function's name; its role, log group and queue are named after it."
  type        = string
  default     = "rota"
}

variable "package" {
  description = "The zip that `make lambda` wrote for the architecture."
  type        = string
}

variable "architecture" {
  description = "arm64 or x86_64, as the package."
  type        = string
  default     = "arm64"
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "The architecture is arm64 or x86_64."
  }
}

variable "config" {
  description = "The text of rota.yaml, at most 8 KiB; it holds references, never values. It is kept as an SSM parameter. Null for service accounts alone, or with config_location."
  type        = string
  default     = null
}

variable "config_location" {
  description = "Where the function finds rota.yaml instead: s3://bucket/key, ssm:///name, or a path in the package. Its right to read it belongs in policies."
  type        = string
  default     = null
}

variable "policies" {
  description = "What the function may do, by a name: policy documents as `rota policy aws --function` prints them."
  type        = map(string)
  default     = {}
}

variable "schedule" {
  description = "How often all that is due is done, as EventBridge Scheduler writes it. Null for never: then lifecycle events or Secrets Manager call the function."
  type        = string
  default     = "rate(1 hour)"
}

variable "environment" {
  description = "More environment variables. No value of a secret belongs here."
  type        = map(string)
  default     = {}
}

variable "vpc" {
  description = "The network from which databases are reached; without it the function has none of yours."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null
}

variable "timeout" {
  description = "How long one call may last, in seconds. What is not done by then goes on with the next."
  type        = number
  default     = 300
}

variable "memory" {
  description = "In MiB."
  type        = number
  default     = 256
}

variable "log_retention_days" {
  description = "How long the log is kept."
  type        = number
  default     = 365
}

variable "kms_key_arn" {
  description = "The key for the log, the queue and the parameter. Null for AWS's own keys."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The boundary of the roles, as an ARN."
  type        = string
  default     = null
}

variable "alarm_actions" {
  description = "Who hears of alarms: ARNs of SNS topics."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

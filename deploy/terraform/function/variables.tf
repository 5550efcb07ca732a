variable "name" {
  description = "The function's name; its role, log group and queue are named after it."
  type        = string
  default     = "rota"
  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,50}$", var.name))
    error_message = "The name must be 1 to 50 letters, digits, underscores and hyphens: the function, its roles, log group, queue and schedule are named after it."
  }
}

variable "package" {
  description = "The zip that `make lambda` built for the architecture."
  type        = string
}

variable "architecture" {
  description = "arm64 or x86_64, matching the package."
  type        = string
  default     = "arm64"
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "The architecture must be arm64 or x86_64."
  }
}

variable "config" {
  description = "The text of rota.yaml, at most 8 KiB. It contains references, never values, and is stored as an SSM parameter. Null if there are only service accounts, or with config_location."
  type        = string
  default     = null
}

variable "config_location" {
  description = "Where the function finds rota.yaml instead: s3://bucket/key, ssm:///name, or a path in the package. Grant it permission to read that in policies."
  type        = string
  default     = null
}

variable "policies" {
  description = "What the function may do, by name: policy documents as printed by `rota policy aws --function`."
  type        = map(string)
  default     = {}
}

variable "schedule" {
  description = "How often to do everything that's due, in EventBridge Scheduler's syntax. Null for never: then lifecycle events or Secrets Manager invoke the function."
  type        = string
  default     = "rate(1 hour)"
}

variable "environment" {
  description = "Additional environment variables. Never put a secret's value here."
  type        = map(string)
  default     = {}
}

variable "gitlab" {
  description = "The GitLab whose projects get access keys: its URL, and the ARN of the Secrets Manager secret whose field token has an access token of scope api. Null for none."
  type = object({
    url              = string
    token_secret_arn = string
  })
  default = null
}

variable "unused_for" {
  description = "How long nobody must have used a previous credential before it's retired, such as 7d. Null for 7 days, or the event's after_days if that's shorter."
  type        = string
  default     = null
}

variable "reserved_concurrency" {
  description = "1 for one invocation at a time, which is what Rota is made for. -1 for no limit of its own, in accounts whose quota leaves none to reserve."
  type        = number
  default     = 1
  validation {
    condition     = contains([1, -1], var.reserved_concurrency)
    error_message = "reserved_concurrency must be 1, or -1 for none."
  }
}

variable "vpc" {
  description = "The VPC from which to reach databases; without it the function isn't attached to one."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null
}

variable "timeout" {
  description = "How long one invocation can take, in seconds. The next one continues what isn't done by then."
  type        = number
  default     = 300
}

variable "memory" {
  description = "In MiB."
  type        = number
  default     = 256
}

variable "log_retention_days" {
  description = "How long to keep the log."
  type        = number
  default     = 365
}

variable "kms_key_arn" {
  description = "The key for the log, the queue, the schedule, the parameter and the environment. Null for AWS-owned keys. Its policy has to let CloudWatch Logs use it."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The roles' permissions boundary, as an ARN."
  type        = string
  default     = null
}

variable "alarm_actions" {
  description = "Where to send alarms: ARNs of SNS topics."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
}

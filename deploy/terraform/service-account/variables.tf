variable "name" {
  description = "The IAM user's name; also the secret's and the label unless those are set."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "An IAM user's name has 1 to 64 letters, digits and characters of +=,.@_-"
  }
}

variable "label" {
  description = "What the topic and the schedules are named after, which accept fewer names than IAM. The user's name if null."
  type        = string
  default     = null
  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,53}$", coalesce(var.label, var.name)))
    error_message = "The label, which is the user's name unless set, must be 1 to 53 letters, digits, underscores and hyphens: the topic and the schedules are named after it."
  }
}

variable "function" {
  description = "The outputs of the function module."
  type = object({
    function_name         = string
    function_arn          = string
    role_name             = string
    scheduler_role_arn    = string
    scheduler_role_name   = string
    dead_letter_queue_arn = string
  })
}

variable "path" {
  description = "The user's path."
  type        = string
  default     = "/service-accounts/"
}

variable "policy_arns" {
  description = "The user's permissions: managed policies."
  type        = set(string)
  default     = []
}

variable "policy" {
  description = "The user's permissions: a policy document."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The user's permissions boundary, as an ARN."
  type        = string
  default     = null
}

variable "secret_name" {
  description = "The secret's name. The user's name if null."
  type        = string
  default     = null
  validation {
    condition     = can(regex("^[A-Za-z0-9/_+=.@-]{1,512}$", coalesce(var.secret_name, var.name)))
    error_message = "The secret's name, which is the user's name unless set, must be 1 to 512 letters, digits and characters of /_+=.@-"
  }
}

variable "kms_key_arn" {
  description = "The key for the secret, the topic and the schedules. Null for AWS's own keys."
  type        = string
  default     = null
}

variable "recovery_window_days" {
  description = "How long a deleted secret can be restored: 7 to 30 days, or 0 for not at all."
  type        = number
  default     = 30
}

variable "rotate_by" {
  description = "schedules: a new key every rotate_every_days; the previous one is deactivated, and deleted later. With gitlab_project_id, what happens when is up to its deployments. secrets_manager: Secrets Manager invokes the function, which retires the previous key before it creates the next. none: a rota.yaml names this user."
  type        = string
  default     = "schedules"
  validation {
    condition     = contains(["schedules", "secrets_manager", "none"], var.rotate_by)
    error_message = "rotate_by must be schedules, secrets_manager or none."
  }
}

variable "rotate_every_days" {
  description = "The age at which a key is replaced."
  type        = number
  default     = 90
  validation {
    condition     = var.rotate_every_days >= 1 && var.rotate_every_days <= 1000
    error_message = "rotate_every_days must be 1 to 1000."
  }
}

variable "deactivate_previous_after_days" {
  description = "How long after a rotation to deactivate the previous key, with schedules."
  type        = number
  default     = 10
}

variable "delete_previous_after_days" {
  description = "How long after that to delete it, with schedules."
  type        = number
  default     = 10
}

variable "gitlab_project_id" {
  description = "The number or path of the GitLab project that deploys with the key. Its variables get each new key, its pipeline deploys it, and the previous one is retired only then. The function needs its variable gitlab. Null for none."
  type        = string
  default     = null
  validation {
    condition     = can(regex("^([1-9][0-9]*|[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+)$", coalesce(var.gitlab_project_id, "1")))
    error_message = "gitlab_project_id must be a project's number, or its path such as shop/api."
  }
}

variable "first_key" {
  description = "Have the function create the first key now. Terraform never sees it."
  type        = bool
  default     = true
}

variable "emails" {
  description = "Email addresses to notify of each change. Each has to confirm once."
  type        = set(string)
  default     = []
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
}

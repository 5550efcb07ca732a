variable "name" {
  description = "The IAM user's name, and the secret's where secret_name is not given."
  type        = string
}

variable "function" {
  description = "The outputs of the module function."
  type = object({
    function_name         = string
    function_arn          = string
    role_name             = string
    scheduler_role_arn    = string
    dead_letter_queue_arn = string
  })
}

variable "path" {
  description = "The user's path."
  type        = string
  default     = "/service-accounts/"
}

variable "policy_arns" {
  description = "What the user may do: managed policies."
  type        = set(string)
  default     = []
}

variable "policy" {
  description = "What the user may do: a policy document."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The user's boundary, as an ARN."
  type        = string
  default     = null
}

variable "secret_name" {
  description = "The secret's name."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "The key of the secret and of the topic. Null for AWS's own key for the secret."
  type        = string
  default     = null
}

variable "recovery_window_days" {
  description = "How long a deleted secret can be had back: 7 to 30 days, 0 for not at all."
  type        = number
  default     = 30
}

variable "rotate_by" {
  description = "schedules: a new key every rotate_every_days, the previous one inactive and deleted later. secrets_manager: Secrets Manager calls the function, which retires the previous key before it makes the next. none: a rota.yaml names this user."
  type        = string
  default     = "schedules"
  validation {
    condition     = contains(["schedules", "secrets_manager", "none"], var.rotate_by)
    error_message = "rotate_by is schedules, secrets_manager or none."
  }
}

variable "rotate_every_days" {
  description = "The age at which a key is replaced."
  type        = number
  default     = 90
  validation {
    condition     = var.rotate_every_days >= 1 && var.rotate_every_days <= 1000
    error_message = "rotate_every_days is 1 to 1000."
  }
}

variable "deactivate_previous_after_days" {
  description = "How long after a rotation the previous key is switched off, with schedules."
  type        = number
  default     = 10
}

variable "delete_previous_after_days" {
  description = "How long after that it is deleted, with schedules."
  type        = number
  default     = 10
}

variable "first_key" {
  description = "Have the function make the first key now. Terraform never sees it."
  type        = bool
  default     = true
}

variable "emails" {
  description = "Who is written to at each change. Each has to confirm once."
  type        = set(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

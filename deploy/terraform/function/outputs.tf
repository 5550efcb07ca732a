output "function_name" {
  description = "The function's name."
  value       = aws_lambda_function.this.function_name
}

output "function_arn" {
  description = "For a secret's rotation_lambda_arn, and for schedules."
  value       = aws_lambda_function.this.arn
}

output "role_name" {
  description = "The function's role, for granting it more permissions."
  value       = aws_iam_role.function.name
}

output "scheduler_role_arn" {
  description = "The role with which schedules invoke the function."
  value       = aws_iam_role.scheduler.arn
}

output "scheduler_role_name" {
  description = "The same role's name, for letting it use a service account's key."
  value       = aws_iam_role.scheduler.name
}

output "dead_letter_queue_arn" {
  description = "The queue of invocations that failed permanently."
  value       = aws_sqs_queue.dead_letters.arn
}

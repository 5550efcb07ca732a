output "function_name" {
  description = "The function's name."
  value       = aws_lambda_function.this.function_name
}

output "function_arn" {
  description = "For rotation_lambda_arn of a secret, and for schedules."
  value       = aws_lambda_function.this.arn
}

output "role_name" {
  description = "The function's role, to give it more rights."
  value       = aws_iam_role.function.name
}

output "scheduler_role_arn" {
  description = "The role by which schedules call the function."
  value       = aws_iam_role.scheduler.arn
}

output "dead_letter_queue_arn" {
  description = "Where calls that failed for good wait."
  value       = aws_sqs_queue.dead_letters.arn
}

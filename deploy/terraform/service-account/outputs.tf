output "user_arn" {
  description = "The user."
  value       = aws_iam_user.this.arn
}

output "secret_arn" {
  description = "The secret, for consumers of the key."
  value       = aws_secretsmanager_secret.this.arn
}

output "topic_arn" {
  description = "The topic, for more subscriptions."
  value       = aws_sns_topic.this.arn
}

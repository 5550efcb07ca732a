output "user_arn" {
  description = "The user."
  value       = aws_iam_user.this.arn
}

output "secret_arn" {
  description = "The secret, for whoever reads the key."
  value       = aws_secretsmanager_secret.this.arn
}

output "topic_arn" {
  description = "The topic, to subscribe more."
  value       = aws_sns_topic.this.arn
}

// Package aws implements Rota's interfaces for Amazon Web Services: issuers of
// IAM access keys and role sessions (tested with STS), the store Secrets Manager,
// a target in SSM Parameter Store, a check that a credential can access an S3
// bucket, and the notifier SNS. They share one connection: one identity, one
// region, one call budget.
//
// It doesn't decide when to rotate, which is up to the planner, and doesn't
// deliver copies outside AWS, which is up to other providers' targets.
package aws

// Package aws is Amazon Web Services in all the roles it plays for Rota: the
// issuer of IAM access keys (tested with STS), the store Secrets Manager, the
// check that a credential reaches an S3 bucket, and the notifier SNS. They
// share one connection: one identity, one region, one budget of calls.
//
// What is not here: when anything is rotated, which the planner decides, and
// copies of a credential elsewhere, which targets of other providers deliver.
package aws

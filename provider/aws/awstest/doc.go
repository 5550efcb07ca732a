// Package awstest is an in-memory AWS for tests and demos: IAM, STS, SNS,
// Secrets Manager and a little of S3. It speaks the real wire protocols on a
// loopback port, so the unmodified AWS SDK works with it. It checks signatures,
// access keys and their status as AWS does, and can inject faults into any
// call.
//
// The package only imitates AWS and knows nothing of Rota's rules. Secrets
// Manager is Rota's own server/secretsmanager on in-memory records, and
// signatures are checked by server/sigv4. Where AWS's documentation and other
// AWS imitations disagree, it follows the documentation.
//
// It deliberately differs from AWS in a few ways. There is one account and one
// region's worth of state, whichever region a request is signed for. A user can
// do what [Server.Allow] lists and what the simple policies of
// [Server.AttachPolicy] allow. Nothing survives Close. As in AWS, a secret
// keeps every version for 24 hours and has at most 100 of them, so a test that
// writes more often than that to one secret has to advance its clock.
package awstest

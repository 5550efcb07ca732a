// Package awstest is an in-memory AWS for tests and demonstrations: IAM, STS,
// SNS, Secrets Manager and a little of S3, spoken over the real wire protocols
// on a loopback port, so that the unchanged AWS SDK talks to it. Signatures,
// access keys and their status are checked as AWS checks them, and faults can
// be injected into any call.
//
// What lives here is the vendor's side only, and nothing of Rota's rules is
// known. Secrets Manager is the house's own, package server/secretsmanager over
// records in memory, and so is the check of signatures, package server/sigv4.
// Where AWS's documentation and another imitation of AWS disagree, the
// documentation is followed.
//
// It differs from AWS on purpose in these points: there is one account and one
// region's worth of state, whatever region a request is signed for; a user may
// do what [Server.Allow] lists, and what simple policies allow that
// [Server.AttachPolicy] takes; and nothing
// survives Close. As at AWS, a secret keeps every version for 24 hours and has
// at most 100 of them: a test that writes more often than that to one secret
// has to move its clock.
package awstest

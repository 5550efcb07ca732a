// Package secretsmanager is AWS Secrets Manager's API over Rota's records: what
// AWS's SDKs, its command line and everybody else who speaks to Secrets
// Manager can be pointed at. Here live the protocol and AWS's rules on names,
// versions, labels, dates and errors; not here: who may do what and the audit
// (package record), and proving who calls (Options.Authenticate).
package secretsmanager

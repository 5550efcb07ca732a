// Package secretsmanager serves AWS Secrets Manager's API on Rota's records,
// for AWS's SDKs, its command line and anything else that talks to Secrets
// Manager. It contains the protocol and AWS's rules for names, versions,
// labels, dates and errors. Permissions and the audit are in package record;
// authentication is Options.Authenticate's job.
package secretsmanager

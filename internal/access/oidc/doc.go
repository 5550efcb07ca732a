// Package oidc takes id tokens of an identity provider for callers: of GitLab
// and GitHub jobs, of Kubernetes service accounts, or of people. It fetches the
// provider's keys and verifies tokens; whether a caller may do a thing is in
// package access.
package oidc

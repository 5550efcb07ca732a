// Package oidc authenticates callers by ID tokens from an identity provider:
// GitLab and GitHub jobs, Kubernetes service accounts, or people. It fetches
// the provider's keys and verifies tokens. What a caller may do is in package
// access.
package oidc

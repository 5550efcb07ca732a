// Package gitlab is everything that Rota does at GitLab: CI/CD variables that hold
// a copy of a credential (a target), pipelines and jobs that deploy it (a
// reloader), and GitLab's own tokens (issuers).
//
// describe*.go says what rota.yaml can name and what it means. The other files do
// the work and know nothing of rota.yaml. All calls go through GitLab's own Go
// client, without its retries: what may be repeated is decided here and by
// package rotation.
package gitlab

// Package github is everything that Rota does at GitHub: secrets and variables
// that hold a copy of a credential (targets), workflow runs that deploy it (a
// reloader), and the deploy keys of a repository (an issuer).
//
// describe*.go says what rota.yaml can name and what it means. The other files do
// the work and know nothing of rota.yaml. All calls go through the Go client
// go-github, which repeats none: what may be repeated is decided here and by
// package rotation.
package github

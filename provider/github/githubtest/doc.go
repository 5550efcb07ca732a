// Package githubtest is a stand-in for GitHub's REST API on a real HTTP server, for
// tests: no GitHub can be had where Rota is built. It does what GitHub's
// documentation (docs.github.com/rest) says of secrets, variables, workflow runs,
// deploy keys and Apps, as far as Rota uses them, and nothing of it was compared
// with GitHub itself. Where the two differ, GitHub is right.
//
// It's public, for users' own tests too.
package githubtest

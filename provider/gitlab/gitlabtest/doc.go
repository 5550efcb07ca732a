// Package gitlabtest is a stand-in for GitLab on a real HTTP server, for tests: no
// GitLab can be had where Rota is built. It does what GitLab's REST documentation
// (docs.gitlab.com/api) says of variables, pipelines, jobs, deployments and tokens,
// as far as Rota uses them, and nothing of it was compared with a GitLab that runs.
// Where the two differ, GitLab is right.
//
// It's public, for users' own tests too.
package gitlabtest

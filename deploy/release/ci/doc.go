// Package ci checks the files by which GitHub and GitLab run Rota's make targets. They
// can't be run here.
package ci

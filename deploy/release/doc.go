// Package release tests what make release-snapshot builds: it installs the packages,
// runs the programs and the image, and compares the lists of their modules. It's a
// module of its own, so that Rota's go.mod doesn't name what only a release needs.
package release

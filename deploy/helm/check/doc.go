// Package check tests the Helm chart and the kustomize base with Helm's and kustomize's
// own code, on a real control plane. It is a module of its own, so that Rota doesn't
// depend on them.
package check

// Package kubernetes delivers credentials to Secrets of a Kubernetes cluster and
// restarts the workloads that read them. client-go reads the kubeconfig, runs its exec
// plugins and logs in. The requests themselves are a few, made and read here, because
// the typed clients would add a quarter to the size of Rota. Custom resources and a
// controller for them aren't in here.
package kubernetes

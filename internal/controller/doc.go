// Package controller is rota controller: it turns the resources of a Kubernetes
// cluster into the configuration that rota.yaml gives, hands that to the daemon, and
// reports in the resources how their secrets stand. It plans and validates nothing
// itself.
package controller

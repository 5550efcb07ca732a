// Package check tests the alert rules and the dashboard with Prometheus's own
// parser and engine. It is a module of its own, so that Rota doesn't depend on
// Prometheus.
package check

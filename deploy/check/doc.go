// Package check has the tests that load the alert rules and the dashboard with
// Prometheus' own parser and engine. It is a module of its own, so that Rota
// does not depend on Prometheus.
package check

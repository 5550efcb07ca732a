// Package tracing sends traces to an OpenTelemetry collector: what a rotation
// does, the requests to the daemon, and the ids that connect log lines to
// traces. The root package reports what a turn consists of; this one only
// turns that into spans.
package tracing

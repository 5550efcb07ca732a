// Package tracing sends traces to an OpenTelemetry collector: what a rotation
// does, the requests to the daemon, and the ids by which a log line is found
// from its trace. What a turn is made of is told by the root package; here is
// only how it becomes spans.
package tracing

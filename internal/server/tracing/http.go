package tracing

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Handler makes a span of each request, as a part of the trace that its
// traceparent names. Headers and queries are not in it. What asks whether the
// daemon is well makes none.
func (t *Tracing) Handler(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	// otelhttp names its span anew at the end, by the pattern that it finds in
	// its request; a copy of that leaves the name that Routes gave.
	named := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(r.Context())) })
	return otelhttp.NewHandler(named, "", otelhttp.WithTracerProvider(t.provider), otelhttp.WithMeterProvider(noop.NewMeterProvider()),
		otelhttp.WithPropagators(propagation.TraceContext{}), otelhttp.WithFilter(isWork))
}

func isWork(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/metrics":
		return false
	}
	return true
}

// Routes names the span of a request by the pattern that serves it. Of a mux
// within another, the inner one's counts.
func Routes(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
			if _, pattern := mux.Handler(r); pattern != "" {
				span.SetName(pattern)
				_, route, ok := strings.Cut(pattern, " ")
				if !ok {
					route = pattern // of any method
				}
				span.SetAttributes(semconv.HTTPRoute(route))
			}
		}
		mux.ServeHTTP(w, r)
	})
}

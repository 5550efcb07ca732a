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

// Handler creates a span for each request, as part of the trace in its
// traceparent. Headers and queries aren't recorded. Probes get no span.
func (t *Tracing) Handler(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	// otelhttp renames its span at the end, after the pattern in its request;
	// passing on a copy keeps the name set by Routes.
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

// Routes names a request's span after the pattern that serves it. For nested
// muxes, the inner pattern counts.
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

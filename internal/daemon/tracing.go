package daemon

import (
	"net/http"

	"github.com/rota-dev/rota/internal/server/tracing"
	"github.com/rota-dev/rota/rotation"
)

// tracer gets every span of the work.
func (d *Daemon) tracer() rotation.Tracer {
	return rotation.JoinTracers(d.Tracing.Tracer(), d.metrics.Trace)
}

// traced creates a span for each request, named after its route.
func (d *Daemon) traced(mux *http.ServeMux) http.Handler {
	return d.Tracing.Handler(tracing.Routes(mux))
}

package daemon_test

import (
	"net/http"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/rota-dev/rota/internal/daemon"
	"github.com/rota-dev/rota/internal/server/tracing"
)

func TestARequestedRotationIsPartOfTheRequestsTrace(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	tr := tracing.New(sdk.NewTracerProvider(sdk.WithSyncer(spans)))
	w := start(t, "", roleConfig(t, "traced", "30d"), func(o *daemon.Options) { o.Tracing = tr })
	w.do(http.MethodPost, "/v1/secrets/app%2Ftraced/rotate", nil)
	if _, _, err := w.password("app/traced"); err != nil {
		t.Fatal(err)
	}
	const rotate, read = "POST /v1/secrets/{name}/rotate", "secretsmanager.GetSecretValue"
	eventually(t, "both requests have ended", func() bool { return named(spans, rotate) != nil && named(spans, read) != nil })
	request := named(spans, rotate)
	if request.SpanKind != trace.SpanKindServer {
		t.Errorf("the request's span is of kind %s", request.SpanKind)
	}
	// There may be an earlier turn, which found the schedule's working on the
	// secret.
	turns := map[trace.SpanID]bool{}
	for _, s := range spans.GetSpans() {
		if s.Name == "turn" && s.Parent.SpanID() == request.SpanContext.SpanID() {
			turns[s.SpanContext.SpanID()] = true
		}
	}
	if create := named(spans, "step.create"); create == nil || !turns[create.Parent.SpanID()] {
		t.Error("the step that creates is not in a turn of the request")
	}
}

// named finds an ended span; nil if there is none.
func named(spans *tracetest.InMemoryExporter, name string) *tracetest.SpanStub {
	for _, s := range spans.GetSpans() {
		if s.Name == name {
			return &s
		}
	}
	return nil
}

package tracing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rota-dev/rota/internal/hint"
)

func TestTheVariablesSayWhetherSpansAreSent(t *testing.T) {
	const collector = "http://localhost:4318"
	for _, c := range []struct {
		name string
		env  map[string]string
		on   bool
		err  string // what the error names; "" for none
	}{
		{name: "no endpoint", env: map[string]string{"OTEL_SERVICE_NAME": "rota"}},
		{name: "an endpoint for all signals", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector}, on: true},
		{name: "an endpoint for traces", env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector + "/v1/traces"}, on: true},
		{name: "the SDK disabled", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_SDK_DISABLED": "True"}},
		{name: "no exporter", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_TRACES_EXPORTER": "none"}},
		{name: "another exporter", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_TRACES_EXPORTER": "zipkin"}, err: "OTEL_TRACES_EXPORTER=zipkin"},
		{name: "gRPC", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, err: "http/protobuf"},
		{name: "an address without a scheme", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "user:canary@localhost:4318"}, err: "OTEL_EXPORTER_OTLP_ENDPOINT is not a URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			on, err := enabled(func(name string) string { return c.env[name] })
			switch {
			case on != c.on:
				t.Errorf("enabled is %t", on)
			case (err != nil) != (c.err != "") || err != nil && !strings.Contains(hint.Text(err), c.err):
				t.Errorf("the error is %v, want one with %q", err, c.err)
			case err != nil && strings.Contains(err.Error(), "canary"):
				t.Errorf("the error quotes the address: %v", err)
			}
		})
	}
}

func TestAnInvalidVariableIsReportedWithoutItsValue(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "canary-token")
	var out bytes.Buffer
	tr, err := Start(t.Context(), "test", slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if said := out.String(); !strings.Contains(said, "traces: parse headers") || strings.Contains(said, "canary") {
		t.Errorf("the log says %q", said)
	}
}

// moody is an exporter that fails as it is told to.
type moody struct {
	*tracetest.InMemoryExporter
	err error
}

func (m *moody) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { return m.err }

func TestACollectorOutageIsLoggedOnceAndItsEndOnce(t *testing.T) {
	var out bytes.Buffer
	m := &moody{}
	s := &loggedExporter{SpanExporter: m, log: slog.New(slog.NewTextHandler(&out, nil))}
	for _, err := range []error{nil, errors.New("refused"), errors.New("refused"), nil, nil} {
		m.err = err
		if err := s.ExportSpans(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	said := out.String()
	if strings.Count(said, "\n") != 2 || !strings.Contains(said, "error=refused") || !strings.Contains(said, "sent again") {
		t.Errorf("the log says:\n%s", said)
	}
}

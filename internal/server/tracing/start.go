package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// stopWithin is how long the last spans may take to go out.
const stopWithin = 5 * time.Second

// Start sets tracing up as the OTEL_* variables of the process say. Without an
// endpoint, or where they switch it off, it gives nil, which traces nothing.
// A collector that does not answer is told of in the log and changes nothing
// else. The version is the program's.
func Start(ctx context.Context, version string, log *slog.Logger) (*Tracing, error) {
	on, err := enabled(os.Getenv)
	if err != nil || !on {
		return nil, err
	}
	// What the SDK has to say would go to stderr otherwise, in its own format.
	otel.SetLogger(logr.FromSlogHandler(messages{log.Handler()}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces", "error", err) }))
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("rota"), semconv.ServiceVersion(version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil { // what could be learned of this process does
		log.WarnContext(ctx, "traces: OTEL_RESOURCE_ATTRIBUTES is not name=value,name=value")
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("traces: %w (try: docs/tracing.md tells the OTEL_ variables)", err)
	}
	return New(sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithBatcher(&steady{SpanExporter: exporter, log: log}))), nil
}

// enabled tells whether the variables want spans to be exported. Errors name
// the variable alone: an address may hold a password.
func enabled(getenv func(string) string) (bool, error) {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		text := getenv(name)
		if text == "" {
			continue
		}
		switch e := getenv("OTEL_TRACES_EXPORTER"); e {
		case "", "otlp":
		case "none":
			return false, nil
		default:
			return false, fmt.Errorf("traces: OTEL_TRACES_EXPORTER=%s: no such exporter (try: otlp, none)", e)
		}
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return false, fmt.Errorf("traces: %s is no URL (try: http://localhost:4318)", name)
		}
		if cmp.Or(getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), getenv("OTEL_EXPORTER_OTLP_PROTOCOL")) == "grpc" {
			return false, errors.New("traces: OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not spoken (try: http/protobuf, and the collector's port 4318)")
		}
		return true, nil
	}
	return false, nil
}

// Stop sends what is left, for five seconds at most, whether ctx has ended or
// not.
func (t *Tracing) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("traces: the last of them were not sent: %w", err)
	}
	return nil
}

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

	"github.com/rota-dev/rota"
)

// stopTimeout is how long sending the last spans may take.
const stopTimeout = 5 * time.Second

// Start sets up tracing from the process's OTEL_* variables. Without an
// endpoint, or if they disable it, it returns nil, which traces nothing. A
// collector that doesn't respond is logged and has no other effect. The
// version is the program's.
func Start(ctx context.Context, version string, log *slog.Logger) (*Tracing, error) {
	on, err := enabled(os.Getenv)
	if err != nil || !on {
		return nil, err
	}
	// The SDK's messages would otherwise go to stderr in its own format.
	otel.SetLogger(logr.FromSlogHandler(messageOnly{log.Handler()}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces", "error", err) }))
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("rota"), semconv.ServiceVersion(version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil { // what could be determined about this process is still used
		log.WarnContext(ctx, "traces: OTEL_RESOURCE_ATTRIBUTES is not name=value,name=value")
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, rota.WithRemedies(fmt.Errorf("traces: %w", err), rota.Configure("", "docs/tracing.md tells the OTEL_ variables"))
	}
	return New(sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithBatcher(&loggedExporter{SpanExporter: exporter, log: log}))), nil
}

// enabled reports whether the variables ask for spans to be exported. Errors
// only name the variable: an address may contain a password.
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
			return false, rota.WithRemedies(fmt.Errorf("traces: OTEL_TRACES_EXPORTER=%s: no such exporter", e), rota.Configure("", "otlp, none"))
		}
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return false, rota.WithRemedies(fmt.Errorf("traces: %s is not a URL", name), rota.Configure("", "http://localhost:4318"))
		}
		if cmp.Or(getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), getenv("OTEL_EXPORTER_OTLP_PROTOCOL")) == "grpc" {
			return false, rota.WithRemedies(errors.New("traces: OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported"), rota.Configure("", "http/protobuf, and the collector's port 4318"))
		}
		return true, nil
	}
	return false, nil
}

// Stop sends the remaining spans, for five seconds at most, whether or not
// ctx has ended.
func (t *Tracing) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("traces: the last ones weren't sent: %w", err)
	}
	return nil
}

package tracing

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// The attributes of a span. None contains a secret's value.
const (
	keySecret     = attribute.Key("rota.secret")
	keyStep       = attribute.Key("rota.step")
	keyVersion    = attribute.Key("rota.version")
	keyCredential = attribute.Key("rota.credential") // the issuer's public name for it
	keyObject     = attribute.Key("rota.object")     // what a call is about
	keyClass      = attribute.Key("error.type")      // rota's class of the error
)

// Tracing creates spans. A nil Tracing creates none, and all of its methods
// may be called.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New creates spans with a provider, which Stop shuts down. Programs use [Start].
func New(p *sdk.TracerProvider) *Tracing {
	return &Tracing{provider: p, tracer: p.Tracer("rota")}
}

// Tracer creates a span for each turn, step and call; nil if tracing is
// off.
func (t *Tracing) Tracer() rotation.Tracer {
	if t == nil {
		return nil
	}
	return t.begin
}

func (t *Tracing) begin(ctx context.Context, s rotation.Span) (context.Context, func(error)) {
	attributes := make([]attribute.KeyValue, 0, 5)
	for _, a := range []attribute.KeyValue{
		keySecret.String(s.Secret), keyStep.String(string(s.Step)), keyVersion.String(s.Version),
		keyCredential.String(s.Credential), keyObject.String(s.Object),
	} {
		if a.Value.AsString() != "" {
			attributes = append(attributes, a)
		}
	}
	ctx, span := t.tracer.Start(ctx, s.Name, trace.WithAttributes(attributes...), trace.WithSpanKind(kindOf(s)))
	return ctx, func(err error) { end(span, err) }
}

// kindOf is client for calls to another system.
func kindOf(s rotation.Span) trace.SpanKind {
	if s.Step == rota.StepNone && strings.Contains(s.Name, ".") {
		return trace.SpanKindClient
	}
	return trace.SpanKindInternal
}

// Command is the span of a whole command, such as "rota run".
func (t *Tracing) Command(ctx context.Context, name string) (context.Context, func(error)) {
	if t == nil {
		return ctx, func(error) {}
	}
	ctx, span := t.tracer.Start(ctx, name)
	return ctx, func(err error) { end(span, err) }
}

// end ends a span. Errors have already been sanitized.
func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, hint.Text(err))
		span.SetAttributes(keyClass.String(string(rota.ClassOf(err))))
	}
	span.End()
}

package tracing

import (
	"context"
	"log/slog"
	"sync/atomic"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// steady is an exporter that tells once that the collector does not answer,
// and once that it does again.
type steady struct {
	sdk.SpanExporter
	log  *slog.Logger
	lost atomic.Bool
}

func (s *steady) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := s.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !s.lost.Swap(true):
		s.log.WarnContext(ctx, "traces are not sent; the work goes on", "error", err)
	case err == nil && s.lost.Swap(false):
		s.log.InfoContext(ctx, "traces are sent again")
	}
	return nil // it is told
}

// messages leaves a record's message and drops the rest: what the SDK says of
// its variables quotes them, and they may hold the collector's token.
type messages struct{ to slog.Handler }

func (m messages) Enabled(ctx context.Context, l slog.Level) bool { return m.to.Enabled(ctx, l) }

func (m messages) Handle(ctx context.Context, r slog.Record) error {
	return m.to.Handle(ctx, slog.NewRecord(r.Time, r.Level, "traces: "+r.Message, r.PC))
}

func (m messages) WithAttrs([]slog.Attr) slog.Handler { return m }

func (m messages) WithGroup(string) slog.Handler { return m }

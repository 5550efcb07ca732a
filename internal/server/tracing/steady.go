package tracing

import (
	"context"
	"log/slog"
	"sync/atomic"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// loggedExporter is an exporter that logs once when the collector stops responding,
// and once when it responds again.
type loggedExporter struct {
	sdk.SpanExporter
	log  *slog.Logger
	lost atomic.Bool
}

func (s *loggedExporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := s.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !s.lost.Swap(true):
		s.log.WarnContext(ctx, "traces can't be sent; rotations continue", "error", err)
	case err == nil && s.lost.Swap(false):
		s.log.InfoContext(ctx, "traces are being sent again")
	}
	return nil // it has been logged
}

// messageOnly keeps a record's message and drops the rest: the SDK quotes its
// variables, and they may contain the collector's token.
type messageOnly struct{ to slog.Handler }

func (m messageOnly) Enabled(ctx context.Context, l slog.Level) bool { return m.to.Enabled(ctx, l) }

func (m messageOnly) Handle(ctx context.Context, r slog.Record) error {
	return m.to.Handle(ctx, slog.NewRecord(r.Time, r.Level, "traces: "+r.Message, r.PC))
}

func (m messageOnly) WithAttrs([]slog.Attr) slog.Handler { return m }

func (m messageOnly) WithGroup(string) slog.Handler { return m }

package daemon

import (
	"context"
	"log/slog"
	"strings"
)

// httpLog takes net/http's messages, which all come as warnings, and assigns
// each the level it deserves.
type httpLog struct{ slog.Handler }

// Enabled leaves it to Handle, which knows the text.
func (h httpLog) Enabled(context.Context, slog.Level) bool { return true }

func (h httpLog) Handle(ctx context.Context, r slog.Record) error {
	switch {
	case strings.HasPrefix(r.Message, "http: TLS handshake error"):
		r.Level = slog.LevelDebug // anyone who can reach the port can cause them
	case strings.HasPrefix(r.Message, "http: panic serving"):
		r.Level = slog.LevelError
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

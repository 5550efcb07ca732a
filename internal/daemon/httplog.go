package daemon

import (
	"context"
	"log/slog"
	"strings"
)

// httpLog takes what net/http has to say, all of which comes as a warning, and
// tells how much each text matters.
type httpLog struct{ slog.Handler }

// Enabled leaves it to Handle, which knows the text.
func (h httpLog) Enabled(context.Context, slog.Level) bool { return true }

func (h httpLog) Handle(ctx context.Context, r slog.Record) error {
	switch {
	case strings.HasPrefix(r.Message, "http: TLS handshake error"):
		r.Level = slog.LevelDebug // whoever knocks on the port can cause them
	case strings.HasPrefix(r.Message, "http: panic serving"):
		r.Level = slog.LevelError
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

package cli

import (
	"cmp"
	"log/slog"

	"github.com/rota-dev/rota/internal/server/tracing"
)

// startLog sets up the log according to the flags, or else the environment.
func (a *app) startLog() error {
	name, format := "--log-level", "--log-format"
	given := cmp.Or(a.logLevel, "warn")
	if text := a.environment["ROTA_LOG_LEVEL"]; a.logLevel == "" && text != "" {
		name, given = "ROTA_LOG_LEVEL", text
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(given)); err != nil {
		return usage("%s %s: no such level (try: debug, info, warn, error)", name, given)
	}
	given = a.logFormat
	if text := a.environment["ROTA_LOG_FORMAT"]; given == "" && text != "" {
		format, given = "ROTA_LOG_FORMAT", text
	}
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler
	switch {
	case given == "json" || given == "" && a.json():
		h, a.logJSON = slog.NewJSONHandler(a.Stderr, options), true
	case given == "text" || given == "":
		h, a.logJSON = slog.NewTextHandler(a.Stderr, options), false
	default:
		return usage("%s %s: no such format (try: text, json)", format, given)
	}
	a.log = slog.New(tracing.LogHandler(h))
	return nil
}

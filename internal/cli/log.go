package cli

import (
	"cmp"
	"log/slog"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
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
		return rota.WithRemedies(usage("%s %s: no such level", name, given), rota.Outside("use debug, info, warn or error"))
	}
	given = a.logFormat
	if text := a.environment["ROTA_LOG_FORMAT"]; given == "" && text != "" {
		format, given = "ROTA_LOG_FORMAT", text
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: hint.Attr}
	var h slog.Handler
	switch {
	case given == "json" || given == "" && a.json():
		h, a.logJSON = slog.NewJSONHandler(a.Stderr, options), true
	case given == "text" || given == "":
		h, a.logJSON = slog.NewTextHandler(a.Stderr, options), false
	default:
		return rota.WithRemedies(usage("%s %s: no such format", format, given), rota.Outside("use text or json"))
	}
	a.log = slog.New(tracing.LogHandler(h))
	return nil
}

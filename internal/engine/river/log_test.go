package river

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestOnlyWarningsOfRiversLogAreKept(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(warnings{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})})
	for _, l := range []*slog.Logger{log, log.With("queue", "turns"), log.WithGroup("river")} {
		l.Debug("fetched")
		l.Info("nothing to do, skipping")
		l.Warn("stuck")
		l.Error("lost")
	}
	if text := out.String(); strings.Count(text, "msg=") != 6 || strings.Count(text, "stuck") != 3 || strings.Count(text, "lost") != 3 {
		t.Errorf("the log has:\n%s", text)
	}
}

package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestNetHTTPsMessagesGetALevel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		least      slog.Level
		want       string // "" for nothing
	}{
		{"a handshake, by default", "http: TLS handshake error from 192.0.2.1:4711: EOF", slog.LevelInfo, ""},
		{"a handshake, asked for", "http: TLS handshake error from 192.0.2.1:4711: EOF", slog.LevelDebug, "level=DEBUG"},
		{"a panic", "http: panic serving 192.0.2.1:4711: oh\ngoroutine 1", slog.LevelError, "level=ERROR"},
		{"another", "http: Accept error: too many open files; retrying in 5ms", slog.LevelInfo, "level=WARN"},
	} {
		var said bytes.Buffer
		h := slog.NewTextHandler(&said, &slog.HandlerOptions{Level: c.least})
		slog.NewLogLogger(httpLog{h}, slog.LevelWarn).Println(c.text)
		if got := said.String(); c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Count(got, "\n") > 1 {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

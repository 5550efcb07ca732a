//go:build !lambda

package config

import (
	"context"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/chat"
)

func (w *wiring) chat(ctx context.Context, name string, c *Chat) (rota.Notifier, error) {
	r := w.reader(ctx)
	cfg := chat.Config{Name: name, URL: strings.TrimSpace(r.text(c.URL)), Timeout: c.Timeout.Length}
	if err := r.err(); err != nil {
		return nil, err
	}
	return chat.New(cfg)
}

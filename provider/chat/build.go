//go:build !lambda

package chat

import (
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

func (c *notifierConfig) build(b *provider.Build) (rota.Notifier, error) {
	cfg := Config{Name: b.Name, URL: strings.TrimSpace(b.Text(c.URL)), Timeout: c.Timeout.Length}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(cfg)
}

package config

import (
	"context"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/command"
)

func (w *wiring) reloader(ctx context.Context, reload *Reload) (rota.Reloader, error) {
	cfg, err := w.command(ctx, reload.Name.Text, reload.Command)
	if err != nil {
		return nil, err
	}
	return command.NewReloader(cfg)
}

func (w *wiring) commandNotifier(ctx context.Context, name string) (rota.Notifier, error) {
	cfg, err := w.command(ctx, name, w.file.Document.Connections[name].Command)
	if err != nil {
		return nil, err
	}
	return command.NewNotifier(cfg)
}

func (w *wiring) command(ctx context.Context, name string, c *Command) (command.Config, error) {
	r := w.reader(ctx)
	cfg := command.Config{
		Name:    name,
		Timeout: c.Timeout.Length,
		Dir:     r.text(c.Dir),
		Env:     r.texts(c.Env),
	}
	for name, text := range c.Env {
		if _, plain := text.literal(); !plain {
			cfg.Hidden = append(cfg.Hidden, cfg.Env[name])
		}
	}
	for _, argument := range c.Run {
		cfg.Command = append(cfg.Command, argument.Text)
	}
	return cfg, r.err()
}

package config

import (
	"context"
	"errors"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/postgres"
)

func (w *wiring) postgresConnection(ctx context.Context, name string) (*postgres.Connection, error) {
	return once(w.postgres, name, func() (*postgres.Connection, error) {
		c, r := w.file.Document.Connections[name].Postgres, w.reader(ctx)
		cfg := postgres.Config{
			Host:           r.text(c.Host),
			Port:           c.Port.Number,
			Database:       r.text(c.Database),
			Username:       r.text(c.Username),
			Password:       r.text(c.Password),
			SSLMode:        c.SSLMode.Text,
			SSLRootCert:    r.text(c.SSLRootCert),
			SSLCert:        r.text(c.SSLCert),
			SSLKey:         r.text(c.SSLKey),
			ConnectTimeout: c.ConnectTimeout.Length,
		}
		if err := r.err(); err != nil {
			return nil, err
		}
		connection, err := postgres.New(name, cfg)
		if err != nil {
			return nil, err
		}
		w.closers = append(w.closers, connection.Close)
		return connection, nil
	})
}

func (w *wiring) postgresPassword(ctx context.Context, i Issuer) (rota.Issuer, error) {
	r := w.reader(ctx)
	cfg := postgres.PasswordConfig{Role: r.text(i.Password.Role)}
	cfg.Rules, _ = i.rules(w.file.Document.Defaults.Password)
	c, err := w.postgresConnection(ctx, i.Connection.Text)
	if err := errors.Join(err, r.err()); err != nil {
		return nil, err
	}
	return c.Password(cfg)
}

func (w *wiring) postgresAlternating(ctx context.Context, i Issuer) (rota.Issuer, error) {
	r, a := w.reader(ctx), i.Alternating
	cfg := postgres.AlternatingConfig{Roles: [2]string{r.text(a.Roles[0]), r.text(a.Roles[1])}, Group: r.text(a.Group)}
	cfg.Rules, _ = i.rules(w.file.Document.Defaults.Password)
	c, err := w.postgresConnection(ctx, i.Connection.Text)
	if err := errors.Join(err, r.err()); err != nil {
		return nil, err
	}
	return c.Alternating(cfg)
}

func (w *wiring) query(ctx context.Context, connection, name string, sql Text) (rota.Check, error) {
	r := w.reader(ctx)
	statement := r.text(sql)
	c, err := w.postgresConnection(ctx, connection)
	if err := errors.Join(err, r.err()); err != nil {
		return nil, err
	}
	return c.Query(name, statement), nil
}

package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/server/secretsmanager"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// requestTimeout is how long a rotation request waits for another worker's turn: it
// needs a quick response.
const requestTimeout = 5 * time.Second

// rotate records a rotation requested through the Secrets Manager endpoint, and
// starts it. Once it has returned, the rotation continues whatever happens to
// this process. The same token on any replica is the same request.
func (d *Daemon) rotate(ctx context.Context, c access.Caller, name, token string) error {
	const op = rotation.OpRotateSecret
	secret, done := d.secrets.Borrow(name)
	defer done()
	if secret == nil {
		return &rotation.SecretError{Secret: name, Err: engine.ErrUnknown}
	}
	// The request and its audit entry were written atomically. The journal forgets
	// a version when the store does; the audit never does.
	before, err := d.DB.Audit().Read(ctx, store.AuditQuery{Secret: name, Newest: true, Limit: 200})
	if err != nil {
		return err
	}
	for _, r := range before {
		if r.Entry.Step == op && r.Entry.Object == token {
			return nil // started, or still due
		}
	}
	entry := c.Entry(d.DB.Now(), op, name, rotation.OutcomeBegun, "")
	entry.Object = token
	err = d.requestRotation(ctx, secret, token, entry)
	if err == nil || errors.Is(err, rota.ErrConflict) {
		d.worker.StartTurn(ctx, name) // or continue with the other one
	}
	return err
}

// Rotate starts a rotation that somebody asked for in another way than over the network.
// The same token on any replica is the same request.
func (d *Daemon) Rotate(ctx context.Context, secret, token string) error {
	return d.rotate(ctx, access.Local("a custom resource"), secret, token)
}

// requestRotation waits a little if another worker holds the secret.
func (d *Daemon) requestRotation(ctx context.Context, s *rotation.Secret, token string, by rotation.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return engine.WhileBusy(ctx, requestTimeout, func(ctx context.Context) error { return d.rotator.Request(ctx, s, token, by) })
}

// rotations says how the configuration rotates secrets, for the Secrets Manager
// endpoint.
func (d *Daemon) rotations(ctx context.Context, names []string) (map[string]secretsmanager.Managed, error) {
	statuses, err := d.DB.Overview().StatusesOf(ctx, names)
	if err != nil {
		return nil, err
	}
	all := make(map[string]secretsmanager.Managed, len(statuses))
	for name, status := range statuses {
		m := secretsmanager.Managed{RotatedAt: status.IssuedAt, NextAt: status.RotateAt}
		secret, done := d.secrets.Borrow(name)
		if secret != nil && secret.Policy.RotateAt == nil {
			m.Every = secret.Policy.RotateEvery
		}
		done()
		all[name] = m
	}
	return all, nil
}

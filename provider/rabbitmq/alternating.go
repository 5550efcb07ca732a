package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rota-dev/rota"
)

// AlternatingConfig names two users that take turns.
type AlternatingConfig struct {
	Users [2]string
	// VHost is a virtual host that a login must be able to open. Defaults to none.
	VHost string
	Rules rota.PasswordRules
}

// alternating rotates two users in turn: while one is delivered, the other stays
// valid.
type alternating struct{ users }

// Alternating returns the issuer for a pair of users.
func (c *Connection) Alternating(cfg AlternatingConfig) (rota.Issuer, error) {
	u, err := c.newUsers(cfg.Rules, cfg.VHost, cfg.Users[:]...)
	if err != nil {
		return nil, err
	}
	return &alternating{u}, nil
}

// Traits say that two credentials may be valid at once.
func (a *alternating) Traits() rota.Traits {
	return rota.Traits{Kind: "RabbitMQ password", Limit: 2, TestSuccesses: testSuccesses}
}

// Create generates a new password for the user that isn't taken, and touches
// nothing.
func (a *alternating) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	op := "choose one of users " + a.names[0] + " and " + a.names[1]
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, a.conn.fail(op, rota.ClassWait, err, nil)
	}
	i := slices.IndexFunc(a.names, func(name string) bool { return !slices.Contains(r.Taken, name) })
	if i < 0 {
		return rota.Credential{}, a.conn.stop(op, fmt.Errorf("%w: both are taken", rota.ErrLimit), rota.Outside("retire the previous credential first"))
	}
	return a.generate(a.names[i])
}

// Deactivate spoils the user's hash, which can be undone: RabbitMQ has no switch for
// a user. Open connections stay open.
func (a *alternating) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return a.turn(ctx, "deactivate user "+r.CredentialID, r, false)
}

// Reactivate undoes Deactivate.
func (a *alternating) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return a.turn(ctx, "reactivate user "+r.CredentialID, r, true)
}

func (a *alternating) turn(ctx context.Context, op string, r rota.RetireRequest, active bool) error {
	now, err := a.existing(ctx, op, r.CredentialID)
	if err != nil {
		return err
	}
	hash := now.switched(active)
	if hash == now.Hash {
		return nil
	}
	return a.write(ctx, op, now, map[string]any{"password_hash": hash, "hashing_algorithm": now.Algorithm})
}

// Delete removes the password of a deactivated user. The user itself stays: the next
// rotation gives it a new password.
func (a *alternating) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete password of user " + r.CredentialID
	now, err := a.existing(ctx, op, r.CredentialID)
	switch {
	case errors.Is(err, rota.ErrNotFound):
		return nil
	case err != nil:
		return err
	case !now.inactive():
		return a.conn.stop(op, fmt.Errorf("%w: it is active", rota.ErrConflict), nil)
	}
	return a.write(ctx, op, now, map[string]any{"password_hash": ""})
}

// existing is one of the pair's users, if it has a password. What isn't one of them
// isn't there, as far as this secret is concerned.
func (a *alternating) existing(ctx context.Context, op, name string) (account, error) {
	if !slices.Contains(a.names, name) {
		if err := ctx.Err(); err != nil {
			return account{}, a.conn.fail(op, rota.ClassWait, err, nil)
		}
		return account{}, a.conn.stop(op, rota.ErrNotFound, nil)
	}
	now, err := a.read(ctx, op, name)
	if err == nil && now.Hash == "" {
		err = a.conn.stop(op, rota.ErrNotFound, nil)
	}
	return now, err
}

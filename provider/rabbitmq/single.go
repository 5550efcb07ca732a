package rabbitmq

import (
	"context"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
)

// UserConfig names one user whose password is rotated.
type UserConfig struct {
	User string
	// VHost is a virtual host that a login must be able to open. Defaults to none.
	VHost string
	Rules rota.PasswordRules
}

// testSuccesses is how many logins prove a new password: the servers of a cluster
// may learn of it one after the other.
const testSuccesses = 2

// single rotates the one password of a user: the old one stops working as soon as
// the new one is set. Open connections stay open.
type single struct{ users }

// User returns the issuer for one user's password.
func (c *Connection) User(cfg UserConfig) (rota.Issuer, error) {
	u, err := c.newUsers(cfg.Rules, cfg.VHost, cfg.User)
	if err != nil {
		return nil, err
	}
	return &single{u}, nil
}

// Traits say that there is no overlap.
func (s *single) Traits() rota.Traits {
	return rota.Traits{Kind: "RabbitMQ password", Limit: 1, TestSuccesses: testSuccesses}
}

// Create generates a new password, and touches nothing.
func (s *single) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, s.conn.fail("make a password for user "+s.names[0], rota.ClassWait, err, nil)
	}
	return s.generate(s.names[0])
}

// Delete is refused if the user has a password: it has one, which ends when the
// next one is set.
func (s *single) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete password of user " + r.CredentialID
	if r.CredentialID != s.names[0] {
		return ctx.Err() // not this secret's, so there's nothing to delete
	}
	a, err := s.read(ctx, op, r.CredentialID)
	if errors.Is(err, rota.ErrNotFound) || err == nil && a.Hash == "" {
		return nil
	}
	if err != nil {
		return err
	}
	return s.conn.stop(op, fmt.Errorf("%w: a user's only password is not deleted; the next one replaces it", rota.ErrConflict), nil)
}

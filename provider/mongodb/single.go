package mongodb

import (
	"context"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
)

// PasswordConfig names one user whose password is rotated.
type PasswordConfig struct {
	User string
	// AuthSource is the database that the user is in. Defaults to admin.
	AuthSource string
	Rules      rota.PasswordRules
}

// single rotates the one password of a user: the old one stops working as soon as
// the new one is set. Open connections stay open.
type single struct{ users }

// Password returns the issuer for one user's password.
func (c *Connection) Password(cfg PasswordConfig) (rota.Issuer, error) {
	u, err := c.newUsers(cfg.Rules, cfg.AuthSource, cfg.User)
	if err != nil {
		return nil, err
	}
	return &single{u}, nil
}

// Traits say that there is no overlap.
func (s *single) Traits() rota.Traits {
	return rota.Traits{Kind: "MongoDB password", Limit: 1, TestSuccesses: testSuccesses}
}

// Create generates a new password, and touches nothing.
func (s *single) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	return s.generate(ctx, "make a password for user "+s.at(s.names[0]), s.names[0])
}

// Delete is refused: a user has one password, which ends when the next one is set.
func (s *single) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete password of user " + s.at(r.CredentialID)
	if r.CredentialID != s.names[0] {
		return ctx.Err() // not this secret's, so there's nothing to delete
	}
	a, err := s.read(ctx, op, r.CredentialID)
	if errors.Is(err, rota.ErrNotFound) || err == nil && a.isFree() {
		return nil
	}
	if err != nil {
		return err
	}
	return s.conn.stop(op, fmt.Errorf("%w: a user's only password is not deleted; the next one replaces it", rota.ErrConflict), nil)
}

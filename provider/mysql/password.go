package mysql

import (
	"context"
	"fmt"
	"slices"

	"github.com/rota-dev/rota"
)

// PasswordConfig names one account whose password is rotated.
type PasswordConfig struct {
	User  string
	Host  string // the account's host part. Defaults to %
	Rules rota.PasswordRules
}

// testSuccesses is how many logins prove a new password: one, because the server
// checks it against what the change was made to.
const testSuccesses = 1

// password rotates the one password of an account: the old one stops working as
// soon as the new one is set. Open sessions continue.
type password struct{ accounts }

// Password returns the issuer for one account's password.
func (c *Connection) Password(cfg PasswordConfig) (rota.Issuer, error) {
	a, err := c.newAccounts(cfg.Rules, cfg.Host, cfg.User)
	if err != nil {
		return nil, err
	}
	return &password{accounts: a}, nil
}

// Traits say that there is no overlap.
func (p *password) Traits() rota.Traits { return passwordTraits() }

func passwordTraits() rota.Traits {
	return rota.Traits{Kind: "MariaDB or MySQL password", Limit: 1, TestSuccesses: testSuccesses}
}

// Create generates a new password, and touches nothing.
func (p *password) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, p.conn.failed("make a password for user "+p.all[0].user, err)
	}
	return p.generate(p.all[0].user)
}

// Delete is refused if the account can log in: it has one password, which ends
// when the next one is set.
func (p *password) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete password of user " + r.CredentialID
	found, err := p.states(ctx, op)
	i := slices.IndexFunc(found, func(s state) bool { return s.account.user == r.CredentialID && slices.Contains(p.all, s.account) })
	if err != nil || i < 0 || found[i].gone() {
		return err
	}
	return &rota.Error{System: p.conn.system(), Connection: p.conn.name, Op: op, Class: rota.ClassStop,
		Err: fmt.Errorf("%w: an account's only password is not deleted; the next one replaces it", rota.ErrConflict)}
}

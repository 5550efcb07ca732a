package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
)

// PasswordConfig names one role whose password is rotated.
type PasswordConfig struct {
	Role  string
	Rules rota.PasswordRules
}

// testSuccesses is how many logins prove a new password: one, because
// PostgreSQL checks it against the catalog the change was committed to.
const testSuccesses = 1

// password rotates the one password of a role: the old one stops working as
// soon as the new one is set. Open sessions continue.
type password struct{ roles }

// Password returns the issuer for one role's password.
func (c *Connection) Password(cfg PasswordConfig) (rota.Issuer, error) {
	r, err := c.newRoles(cfg.Rules, "", cfg.Role)
	if err != nil {
		return nil, err
	}
	return &password{roles: r}, nil
}

// Traits say that there is no overlap.
func (p *password) Traits() rota.Traits {
	return rota.Traits{Kind: "PostgreSQL password", Limit: 1, TestSuccesses: testSuccesses}
}

// Create generates a new password, and touches nothing.
func (p *password) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, p.conn.failed("make a password for role "+p.names[0], err)
	}
	return p.generate(p.names[0])
}

// Delete is refused if the role can log in: it has one password, which ends
// when the next one is set.
func (p *password) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete password of role " + r.CredentialID
	var found []state
	err := p.conn.within(ctx, op, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		found, err = readStates(ctx, tx, []string{r.CredentialID})
		return err
	})
	if err != nil || len(found) == 0 || found[0].gone() || found[0].locked() {
		return err
	}
	return &rota.Error{System: p.conn.system(), Connection: p.conn.name, Op: op, Class: rota.ClassStop,
		Err: fmt.Errorf("%w: a role's only password is not deleted; the next one replaces it", rota.ErrConflict)}
}

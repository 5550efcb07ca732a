package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
)

// AlternatingConfig names two login roles that take turns, and the group role
// that owns what they share.
type AlternatingConfig struct {
	Roles [2]string
	Group string
	Rules rota.PasswordRules
	// Clone creates the second role, if it doesn't exist yet, as a member of
	// the first that acts as it by default: it has the same privileges, and what
	// it creates belongs to the first. Its settings are kept the same.
	Clone bool
}

// alternating rotates two roles in turn: while one is delivered, the other
// stays valid.
type alternating struct {
	roles
	clone bool
}

// Alternating returns the issuer for a pair of roles.
func (c *Connection) Alternating(cfg AlternatingConfig) (rota.Issuer, error) {
	if cfg.Roles[0] == cfg.Roles[1] {
		return nil, rota.WithRemedies(fmt.Errorf("%s: role %q is named twice", c.system(), cfg.Roles[0]), rota.Configure("", "two login roles that are members of one group"))
	}
	if cfg.Group != "" {
		if err := checkRole(cfg.Group); err != nil {
			return nil, fmt.Errorf("%s: group: %w", c.system(), err)
		}
	}
	if slices.Contains(cfg.Roles[:], cfg.Group) {
		return nil, rota.WithRemedies(fmt.Errorf("%s: role %s can't be its own group", c.system(), cfg.Group), rota.Configure("", "a role without LOGIN that owns the tables"))
	}
	r, err := c.newRoles(cfg.Rules, cfg.Group, cfg.Roles[:]...)
	if err != nil {
		return nil, err
	}
	if cfg.Clone {
		r.owner = cmp.Or(r.owner, cfg.Roles[0])
	}
	return &alternating{roles: r, clone: cfg.Clone}, nil
}

// Traits say that two credentials may be valid at once.
func (a *alternating) Traits() rota.Traits {
	return rota.Traits{Kind: "PostgreSQL password", Limit: 2, TestSuccesses: testSuccesses}
}

// Create generates a new password for the role that isn't taken, and
// touches nothing.
func (a *alternating) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	op := "choose one of roles " + a.names[0] + " and " + a.names[1]
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, a.conn.failed(op, err)
	}
	i := slices.IndexFunc(a.names, func(name string) bool { return !slices.Contains(r.Taken, name) })
	if i < 0 {
		return rota.Credential{}, &rota.Error{System: a.conn.system(), Connection: a.conn.name, Op: op, Class: rota.ClassStop,
			Err: fmt.Errorf("%w: both are taken", rota.ErrLimit), Remedies: rota.Outside("retire the previous credential first")}
	}
	return a.generate(a.names[i])
}

// Set sets a role's password, after creating the role if it's to be a clone
// of the other.
func (a *alternating) Set(ctx context.Context, s rota.SetRequest) error {
	if role := a.CredentialID(s.Credential); a.clone && role == a.names[1] {
		if err := a.ensure(ctx, role); err != nil {
			return err
		}
	}
	return a.roles.Set(ctx, s)
}

// Deactivate ends the validity of the role's password, which can be undone.
// Open sessions continue.
func (a *alternating) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return a.change(ctx, "deactivate", r, func(_ pgx.Tx, s *state) (string, error) {
		if s == nil || s.gone() {
			return "", rota.ErrNotFound
		}
		return "VALID UNTIL '1970-01-01'", nil
	})
}

// Reactivate undoes Deactivate. When the role would have ended by itself isn't
// known any more, so it ends when the other one does, if that one does.
func (a *alternating) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return a.change(ctx, "reactivate", r, func(tx pgx.Tx, s *state) (string, error) {
		if s == nil || s.gone() {
			return "", rota.ErrNotFound
		}
		if s.locked() {
			return "", rota.WithRemedies(errors.New("somebody took its login away and left its password: Rota doesn't unlock it"), rota.Outside(s.unlock()+", if it's meant to log in again"))
		}
		var end string
		err := tx.QueryRow(ctx, "SELECT set_config('DateStyle', 'ISO', true) <> '', ("+a.until(r.CredentialID)+")").Scan(new(bool), &end)
		return "VALID UNTIL" + literal(end), err
	})
}

// Delete removes the role's password and its LOGIN attribute. The role
// itself stays: the next rotation gives it a new password.
func (a *alternating) Delete(ctx context.Context, r rota.RetireRequest) error {
	return a.change(ctx, "delete password of", r, func(_ pgx.Tx, s *state) (string, error) {
		switch {
		case s == nil || !s.Login:
			return "", nil
		case !s.Expired && !s.NoPassword:
			return "", fmt.Errorf("%w: it is active", rota.ErrConflict)
		}
		return "NOLOGIN PASSWORD NULL", nil
	})
}

// change reads the role (nil if there is none) and alters it as decided, both
// under the role's lock; "" leaves it alone. It never alters a role outside
// the pair.
func (a *alternating) change(ctx context.Context, verb string, r rota.RetireRequest, decide func(pgx.Tx, *state) (string, error)) error {
	role := r.CredentialID
	op := verb + " role " + role
	err := a.conn.change(ctx, op, func(ctx context.Context, tx pgx.Tx) error {
		for locked := false; ; locked = true {
			found, err := readStates(ctx, tx, []string{role})
			if err != nil {
				return err
			}
			var now *state
			if len(found) > 0 {
				if err := a.ours(op, role); err != nil {
					return err
				}
				now = &found[0]
			}
			clause, err := decide(tx, now)
			if err != nil {
				return &rota.Error{System: a.conn.system(), Connection: a.conn.name, Op: op, Class: rota.ClassStop, Err: err}
			}
			if clause == "" {
				return nil
			}
			change := lockRole(role) // then look again; what needs no change needs no privileges
			if locked {
				change = "ALTER ROLE " + quote(role) + " " + clause
			}
			if _, err := tx.Exec(ctx, change); err != nil || locked {
				return err
			}
		}
	})
	return a.explained(ctx, err, role)
}

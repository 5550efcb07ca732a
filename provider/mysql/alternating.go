package mysql

import (
	"context"
	"fmt"
	"slices"

	"github.com/rota-dev/rota"
)

// AlternatingConfig names two accounts that take turns.
type AlternatingConfig struct {
	Users [2]string
	Host  string // both accounts' host part. Defaults to %
	Rules rota.PasswordRules
	// Clone creates the second account if it isn't there, and gives it what the
	// first is granted.
	Clone bool
}

// alternating rotates two accounts in turn: while one is delivered, the other
// stays valid.
type alternating struct {
	accounts
	clone bool
}

// Alternating returns the issuer for a pair of accounts.
func (c *Connection) Alternating(cfg AlternatingConfig) (rota.Issuer, error) {
	if cfg.Users[0] == cfg.Users[1] {
		return nil, rota.WithRemedies(fmt.Errorf("%s: user %q is named twice", c.system(), cfg.Users[0]), rota.Configure("", "two accounts with the same privileges"))
	}
	a, err := c.newAccounts(cfg.Rules, cfg.Host, cfg.Users[:]...)
	if err != nil {
		return nil, err
	}
	a.mayLack = cfg.Clone
	return &alternating{accounts: a, clone: cfg.Clone}, nil
}

// Set gives the account a password and unlocks it. A clone gets the first one's
// rights before.
func (a *alternating) Set(ctx context.Context, s rota.SetRequest) error {
	if a.clone && a.CredentialID(s.Credential) == a.all[1].user {
		if err := a.ensure(ctx); err != nil {
			return err
		}
	}
	return a.accounts.Set(ctx, s)
}

// Traits say that two credentials may be valid at once.
func (a *alternating) Traits() rota.Traits {
	return rota.Traits{Kind: "MariaDB or MySQL password", Limit: 2, TestSuccesses: testSuccesses}
}

// Create generates a new password for the account that isn't taken, and touches
// nothing.
func (a *alternating) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	op := "choose one of users " + a.all[0].user + " and " + a.all[1].user
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, a.conn.failed(op, err)
	}
	i := slices.IndexFunc(a.all, func(one account) bool { return !slices.Contains(r.Taken, one.user) })
	if i < 0 {
		return rota.Credential{}, a.stop(op, fmt.Errorf("%w: both are taken", rota.ErrLimit), "retire the previous credential first")
	}
	return a.generate(a.all[i].user)
}

// Deactivate locks the account, which can be undone. Open sessions continue.
func (a *alternating) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return a.retire(ctx, "deactivate", r, func(_ string, s *state) ([]string, error) {
		if s == nil || s.gone() {
			return nil, rota.ErrNotFound
		}
		return []string{"ACCOUNT LOCK"}, nil
	})
}

// Reactivate undoes Deactivate.
func (a *alternating) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return a.retire(ctx, "reactivate", r, func(_ string, s *state) ([]string, error) {
		if s == nil || s.gone() {
			return nil, rota.ErrNotFound
		}
		return []string{"ACCOUNT UNLOCK"}, nil
	})
}

// Delete replaces the locked account's password by one that nobody knows, and
// makes it expire, by which it's recognized. The account itself stays: the next
// rotation gives it a new password and unlocks it. A second password that MySQL keeps
// goes first, or it would log in again then.
func (a *alternating) Delete(ctx context.Context, r rota.RetireRequest) error {
	return a.retire(ctx, "delete password of", r, func(op string, s *state) ([]string, error) {
		switch {
		case s == nil || s.gone():
			return nil, nil
		case !s.Locked:
			return nil, fmt.Errorf("%w: it is active", rota.ErrConflict)
		}
		unknown, err := a.rules.Generate(nil)
		if err != nil {
			return nil, err
		}
		method, err := a.method(op, *s, unknown)
		clauses := []string{method + " PASSWORD EXPIRE ACCOUNT LOCK"}
		if s.second != "" {
			clauses = slices.Insert(clauses, 0, discardOld)
		}
		return clauses, err
	})
}

// retire alters one of the pair's accounts as decided. An account that isn't one
// of them isn't there, as far as this secret is concerned.
func (a *alternating) retire(ctx context.Context, verb string, r rota.RetireRequest, decide func(op string, s *state) ([]string, error)) error {
	op := verb + " user " + r.CredentialID
	classified := func(s *state) ([]string, error) {
		clauses, err := decide(op, s)
		if err != nil && rota.RemediesOf(err) == nil {
			err = &rota.Error{System: a.conn.system(), Connection: a.conn.name, Op: op, Class: rota.ClassStop, Err: err}
		}
		return clauses, err
	}
	if !slices.Contains(a.Names(), r.CredentialID) {
		_, err := classified(nil)
		return err
	}
	return a.change(ctx, op, r.CredentialID, classified)
}

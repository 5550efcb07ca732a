package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// dual rotates the password of one MySQL account that has two of them: setting the
// next one retains the current one, which is discarded once nobody needs it.
//
// It's a kind of issuer of its own rather than a setting of [password], because
// whether passwords overlap is a trait: the planner, rota plan and the documentation
// rely on it before anyone has asked the server what it is.
//
// MySQL keeps at most two passwords, and to retain another one would end the older
// one's life without a word. So nothing is set while there's a second password.
type dual struct {
	accounts accounts
	one      account
	seen     seen
}

var (
	_ rota.Issuer      = (*dual)(nil)
	_ rota.Lister      = (*dual)(nil)
	_ rota.UseReporter = (*dual)(nil)
	_ rota.Teller      = (*dual)(nil)
	_ rota.Completer   = (*dual)(nil)
	_ rota.Preflighter = (*dual)(nil)
)

// Dual returns the issuer for the two passwords of one MySQL account.
func (c *Connection) Dual(cfg PasswordConfig) (rota.Issuer, error) {
	a, err := c.newAccounts(cfg.Rules, cfg.Host, cfg.User)
	if err != nil {
		return nil, err
	}
	return &dual{accounts: a, one: a.all[0]}, nil
}

func dualTraits() rota.Traits {
	return rota.Traits{Kind: "MySQL password", Limit: 2, TestSuccesses: testSuccesses, ListsByValue: true}
}

// Traits implements [rota.Issuer]: the old password stays valid beside the new one.
func (d *dual) Traits() rota.Traits { return dualTraits() }

// CredentialID implements [rota.Issuer]: the user's name, and a few digits that
// stand for the password.
func (d *dual) CredentialID(c rota.Credential) string {
	user, password := c.Field(rota.FieldUsername), c.Field(rota.FieldPassword)
	if user == "" || password == "" {
		return ""
	}
	return d.seen.id(user, password)
}

// Complete implements [rota.Completer].
func (d *dual) Complete(c rota.Credential) rota.Credential { return d.accounts.Complete(c) }

// Create implements [rota.Issuer]: it generates a password, and touches nothing. In
// the rare case that its id is taken, it generates another.
func (d *dual) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	op := "make a password for user " + d.one.user
	if len(r.Taken) >= dualTraits().Limit {
		return rota.Credential{}, d.accounts.stop(op, fmt.Errorf("%w: the account has two passwords", rota.ErrLimit), "retire the previous credential first")
	}
	for {
		if err := ctx.Err(); err != nil {
			return rota.Credential{}, d.accounts.conn.failed(op, err)
		}
		c, err := d.accounts.generate(d.one.user)
		if err != nil || !slices.Contains(r.Taken, d.CredentialID(c)) {
			return c, err
		}
	}
}

// change alters the account as decided, if it's on a server that has second
// passwords.
func (d *dual) change(ctx context.Context, op, user string, decide func(*state) ([]string, error), used ...rota.Credential) error {
	return d.accounts.change(ctx, op, user, func(s *state) ([]string, error) {
		if s != nil && !s.isMySQL {
			return nil, d.accounts.stop(op, errMariaDB, onMariaDB)
		}
		return decide(s)
	}, used...)
}

var errMariaDB = errors.New("the server is MariaDB, which keeps one password per account")

const onMariaDB = "mysql_password, or mysql_alternating with a second account, instead of mysql_dual_password"

// Set implements [rota.Issuer]: it makes the password the account's first one, and
// retains the one that was. Only a hash is sent, unless the connection says
// otherwise.
func (d *dual) Set(ctx context.Context, r rota.SetRequest) error {
	user := r.Credential.Field(rota.FieldUsername)
	op := "add a password to user " + user
	d.CredentialID(r.Credential) // so that List knows it
	return d.change(ctx, op, user, func(s *state) ([]string, error) {
		if s == nil {
			return nil, d.accounts.stop(op, fmt.Errorf("%w: there is no such account", rota.ErrNotFound),
				"the account's new name in rota.yaml, if it was renamed; or else CREATE USER")
		}
		method, err := d.accounts.method(op, *s, r.Credential.Field(rota.FieldPassword))
		has := s.passwords()
		switch {
		case err != nil:
			return nil, err
		case len(has) == 0: // nothing to retain, and the server refuses to
			return []string{method + " ACCOUNT UNLOCK"}, nil
		case s.Locked:
			return nil, d.accounts.stop(op, errLocked, d.unlock())
		}
		for _, have := range has {
			if matches(s.Plugin, user, have, r.Credential.Field(rota.FieldPassword)) {
				return nil, nil
			}
		}
		if len(has) > 1 {
			return nil, d.accounts.stop(op, fmt.Errorf("%w: the account has two passwords, and a third would end the older one", rota.ErrLimit),
				"retire the previous credential first; or, if one of them is nobody's: "+d.makeRoom(*s))
		}
		return []string{method + " RETAIN CURRENT PASSWORD"}, nil
	}, r.Credential)
}

func (d *dual) unlock() string { return unlock(d.one) }

// discardOld is the clause that ends the older of two passwords.
const discardOld = "DISCARD OLD PASSWORD"

// makeRoom is what a person can do about two passwords one of which isn't needed. If
// it's the newer one that somebody else set, to discard the older one would be the end
// of a credential of Rota's.
func (d *dual) makeRoom(s state) string {
	is := func(stored string) bool {
		return !strings.Contains(d.seen.name(s.Plugin, d.one.user, stored), ":unknown-")
	}
	if s.Plugin == pluginSHA2 && !is(s.Stored) && is(s.second) {
		return "the older password is one that Rota knows, so keep that: rota adopt for the newer one, if something uses it; or else ALTER USER " + d.one.String() + " IDENTIFIED BY the older one, and then " + discardOld
	}
	return "ALTER USER " + d.one.String() + " " + discardOld
}

// passwords are what the server stores for the passwords that log in, the first one
// first.
func (s *state) passwords() []string {
	form := storedForms[s.Plugin]
	var all []string
	for _, stored := range []string{s.Stored, s.second} {
		if form != nil && form.MatchString(stored) && !isNobodys(stored) && (len(all) == 0 || all[0] != stored) {
			all = append(all, stored)
		}
	}
	return all
}

// Test implements [rota.Issuer].
func (d *dual) Test(ctx context.Context, r rota.TestRequest) error { return d.accounts.Test(ctx, r) }

// Delete implements [rota.Issuer]. MySQL can only discard the older of two
// passwords. To be rid of the newer one, the older one takes its place first, which
// takes its hash alone. The last password gives way to one that nobody knows.
func (d *dual) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "remove password " + r.CredentialID
	return d.change(ctx, op, d.one.user, func(s *state) ([]string, error) {
		if s == nil || s.unsettable() != "" {
			return nil, nil
		}
		is := func(stored string) bool {
			return storedForms[s.Plugin].MatchString(stored) && !isNobodys(stored) && d.seen.name(s.Plugin, d.one.user, stored) == r.CredentialID
		}
		switch has := s.passwords(); {
		case is(s.Stored) && len(has) > 1:
			return []string{s.as(has[1]), discardOld}, nil
		case is(s.Stored):
			return []string{s.as(nobodys(s.Plugin)), discardOld}, nil
		case is(s.second), s.second != "" && s.second == s.Stored: // the latter is what an interruption above leaves
			return []string{discardOld}, nil
		}
		return nil, nil
	})
}

// List implements [rota.Lister]: both of the account's passwords, whoever set them.
func (d *dual) List(ctx context.Context) ([]rota.Issued, error) {
	s, err := d.state(ctx, "list the passwords of user "+d.one.user)
	if err != nil || s == nil {
		return nil, err
	}
	var issued []rota.Issued
	for _, stored := range s.passwords() {
		i := rota.Issued{ID: d.seen.name(s.Plugin, d.one.user, stored), Active: !s.Locked, ExpiresAt: s.ends()}
		if s.Locked {
			i.Unlock = d.unlock()
		}
		issued = append(issued, i)
	}
	return issued, nil
}

// state reads the account, nil if there's none.
func (d *dual) state(ctx context.Context, op string) (*state, error) {
	found, err := d.accounts.states(ctx, op)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].account == d.one {
			if !found[i].isMySQL {
				return nil, d.accounts.stop(op, errMariaDB, onMariaDB)
			}
			return &found[i], nil
		}
	}
	return nil, nil
}

// InForce implements [rota.Teller]: the password is one of the account's.
func (d *dual) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	op := "look which passwords user " + c.Field(rota.FieldUsername) + " has"
	if _, err := d.accounts.named(op, c.Field(rota.FieldUsername)); err != nil {
		return false, false, err
	}
	s, err := d.state(ctx, op)
	if err != nil || s == nil || s.unsettable() != "" {
		return false, false, err
	}
	for _, stored := range s.passwords() {
		inForce = inForce || matches(s.Plugin, d.one.user, stored, c.Field(rota.FieldPassword))
	}
	return inForce, true, nil
}

// LastUsed implements [rota.UseReporter] with the sessions that are open right now.
// MySQL doesn't show which of the two passwords a session logged in with, so each
// may be using this one: only without any session is it unused.
func (d *dual) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	issued, err := d.List(ctx)
	if err != nil {
		return rota.Use{}, err
	}
	for _, i := range issued {
		if i.ID == credentialID {
			use, err := d.accounts.LastUsed(ctx, d.one.user)
			use.Ambiguous = len(issued) > 1 && use.Evidence != rota.EvidenceUnknown
			return use, err
		}
	}
	return rota.Use{}, d.accounts.stop("look for sessions of user "+d.one.user, fmt.Errorf("%w: the user has no password %s", rota.ErrNotFound, credentialID), "")
}

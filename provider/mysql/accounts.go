package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// accounts are those of one secret: what both ways of rotating share.
type accounts struct {
	conn  *Connection
	all   []account
	rules rota.PasswordRules
	// mayLack is true if the second account is made when it's needed.
	mayLack bool
}

// newAccounts checks names before using them.
func (c *Connection) newAccounts(rules rota.PasswordRules, host string, users ...string) (accounts, error) {
	a := accounts{conn: c, rules: rules}
	for _, user := range users {
		one, err := newAccount(user, host)
		if err != nil {
			return accounts{}, fmt.Errorf("%s: %w", c.system(), err)
		}
		if user == c.cfg.Username {
			return accounts{}, rota.WithRemedies(fmt.Errorf("%s: user %s is the one Rota logs in as, so Rota would lock itself out", c.system(), user), rota.Configure("", "a connection with an account of its own"))
		}
		a.all = append(a.all, one)
	}
	if err := rules.Validate(); err != nil {
		return accounts{}, fmt.Errorf("%s: user %s: password: %w", c.system(), users[0], err)
	}
	return a, nil
}

// CredentialID is the user's name.
func (a *accounts) CredentialID(c rota.Credential) string { return c.Field(rota.FieldUsername) }

// Names implements [rota.Namer].
func (a *accounts) Names() []string {
	var names []string
	for _, one := range a.all {
		names = append(names, one.user)
	}
	return names
}

// generate generates a new password for an account, and touches nothing.
func (a *accounts) generate(user string) (rota.Credential, error) {
	password, err := a.rules.Generate(nil)
	if err != nil {
		return rota.Credential{}, fmt.Errorf("%s: user %s: %w", a.conn.system(), user, err)
	}
	return a.Complete(rota.NewCredential(map[string]string{rota.FieldUsername: user, rota.FieldPassword: password})), nil
}

// Complete implements [rota.Completer]: it adds where the server is, and the user
// if there's only one.
func (a *accounts) Complete(c rota.Credential) rota.Credential {
	all := map[string]string{FieldHost: a.conn.cfg.Host, FieldPort: strconv.Itoa(a.conn.cfg.Port)}
	if len(a.all) == 1 {
		all[rota.FieldUsername] = a.all[0].user
	}
	maps.Copy(all, c.Fields())
	return rota.NewCredential(all)
}

// named returns one of the secret's accounts by the user's name, and rejects
// others.
func (a *accounts) named(op, user string) (account, error) {
	i := slices.IndexFunc(a.all, func(one account) bool { return one.user == user })
	if i >= 0 {
		return a.all[i], nil
	}
	return account{}, a.stop(op, fmt.Errorf("user %q isn't one of this secret's: %s", user, strings.Join(a.Names(), ", ")),
		"a stored credential whose username is one of them")
}

// stop is an error that only a person can end.
func (a *accounts) stop(op string, err error, hint string) error {
	return &rota.Error{System: a.conn.system(), Connection: a.conn.name, Op: op, Class: rota.ClassStop, Err: err, Remedies: rota.Outside(hint)}
}

// errLocked is an account that somebody has locked. A new password would be of no use
// to anyone, and to unlock it isn't Rota's decision.
var errLocked = errors.New("the account is locked, so nobody can log in")

func unlock(one account) string { return "ALTER USER " + one.String() + " ACCOUNT UNLOCK" }

// Set sets the account's password and unlocks it. An account without a password is locked
// until it gets one. The lock of one that has a password is somebody's: Rota gives the
// account of a pair no new one before it has deleted the one before.
func (a *accounts) Set(ctx context.Context, s rota.SetRequest) error {
	user := a.CredentialID(s.Credential)
	op := "set password of user " + user
	return a.change(ctx, op, user, func(found *state) ([]string, error) {
		if found == nil {
			return nil, a.stop(op, fmt.Errorf("%w: there is no such account", rota.ErrNotFound),
				"the account's new name in rota.yaml, if it was renamed; or else CREATE USER")
		}
		if found.Locked && !found.gone() {
			return nil, a.stop(op, errLocked, unlock(found.account))
		}
		method, err := a.method(op, *found, s.Credential.Field(rota.FieldPassword))
		return []string{method + " ACCOUNT UNLOCK"}, err
	}, s.Credential)
}

// method is the clause that gives an account a password, by the plugin it has.
func (a *accounts) method(op string, s state, password string) (string, error) {
	if why := s.unsettable(); why != "" {
		return "", a.stop(op, errors.New(why), s.settable())
	}
	if err := s.tooLong(len(password)); err != nil {
		return "", &rota.Error{System: a.conn.system(), Connection: a.conn.name, Op: op, Class: rota.ClassStop, Err: err, Remedies: rota.RemediesOf(err)}
	}
	value, err := stored(s.Plugin, s.account.user, password)
	if err != nil {
		return "", &rota.Error{System: a.conn.system(), Connection: a.conn.name, Op: op, Class: rota.ClassRegenerate, Err: err}
	}
	if s.isMySQL {
		if a.conn.cfg.SendPasswords {
			return "IDENTIFIED WITH " + s.Plugin + " BY " + literal(password), nil
		}
		return s.as(value), nil
	}
	if a.conn.cfg.SendPasswords {
		return "IDENTIFIED VIA " + s.Plugin + " USING PASSWORD(" + literal(password) + ")", nil
	}
	return "IDENTIFIED VIA " + s.Plugin + " USING '" + value + "'", nil
}

// Test logs in with the credential, and checks that the account has all that the
// other one of a pair has.
func (a *accounts) Test(ctx context.Context, t rota.TestRequest) error {
	op := "log in as user " + a.CredentialID(t.Credential)
	if err := a.LogIn(ctx, t.Credential); err != nil {
		return err
	}
	one, err := a.named(op, a.CredentialID(t.Credential))
	if err != nil {
		return err
	}
	missing, err := a.lacks(ctx, op, one)
	if err == nil && len(missing) > 0 {
		err = a.stop(op, fmt.Errorf("it logs in but lacks what the other account has: %s", list(missing)), level)
	}
	return err
}

// LogIn logs in with the credential, on its own connection, and checks that the
// server took it for the secret's account.
func (a *accounts) LogIn(ctx context.Context, c rota.Credential) error {
	user := a.CredentialID(c)
	op := "log in as user " + user
	one, err := a.named(op, user)
	if err != nil {
		return err
	}
	err = a.conn.login(ctx, c, "", neutral, func(ctx context.Context, conn *sql.Conn) error {
		found, err := rows(ctx, conn, "SELECT CURRENT_USER() AS account")
		if err != nil {
			return err
		}
		if got := found[0]["account"]; got != one.user+"@"+one.host {
			return a.stop(op, fmt.Errorf("the server took the login for account %s", got),
				"host with the account's own host, or DROP USER for the other account, if nobody needs it")
		}
		return nil
	})
	if err != nil {
		return a.untestable(ctx, op, one, c.Field(rota.FieldPassword), a.conn.refused(op, err, c))
	}
	return nil
}

// untestable replaces a refusal that says nothing about the password: the server
// has one code for all its reasons.
func (a *accounts) untestable(ctx context.Context, op string, one account, password string, err error) error {
	if !errors.Is(err, rota.ErrRefused) {
		return err
	}
	found, askErr := a.states(ctx, op)
	i := slices.IndexFunc(found, func(s state) bool { return s.account == one })
	if askErr != nil || i < 0 {
		return err
	}
	if f := a.conn.mayLogin(found[i]); !f.OK {
		return &rota.Error{System: a.conn.system(), Connection: a.conn.name, Op: op, Class: rota.ClassStop, Err: errors.New(f.Detail), Remedies: f.Remedies}
	}
	if s := found[i]; !s.Locked && !s.expired() && (matches(s.Plugin, one.user, s.Stored, password) || s.second != "" && matches(s.Plugin, one.user, s.second, password)) {
		return a.stop(op, fmt.Errorf("the account has this password, but another account takes logins from Rota's machine, and refused it (%w)", provider.Opaque(err.Error(), err, nil)),
			"host with the account's own host, or DROP USER for the other account, one of any name too, if nobody needs it")
	}
	return err
}

// states reads the accounts, and others of the same names at other hosts.
func (a *accounts) states(ctx context.Context, op string) (found []state, err error) {
	err = a.conn.within(ctx, op, func(ctx context.Context, conn *sql.Conn) error {
		var err error
		found, err = readStates(ctx, conn, a.all)
		return err
	})
	return found, err
}

// InForce implements [rota.Teller] by comparing what the server stores with the
// credential's password. It doesn't say whether the account may log in: that's
// what Test is for.
func (a *accounts) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	op := "look which password user " + a.CredentialID(c) + " has"
	one, err := a.named(op, a.CredentialID(c))
	if err != nil {
		return false, false, err
	}
	found, err := a.states(ctx, op)
	i := slices.IndexFunc(found, func(s state) bool { return s.account == one })
	if err != nil || i < 0 || found[i].unsettable() != "" {
		return false, false, err
	}
	return matches(found[i].Plugin, one.user, found[i].Stored, c.Field(rota.FieldPassword)), true, nil
}

// List returns the accounts that can log in, or could if they were unlocked.
func (a *accounts) List(ctx context.Context) ([]rota.Issued, error) {
	found, err := a.states(ctx, "list accounts "+strings.Join(a.Names(), ", "))
	if err != nil {
		return nil, err
	}
	var issued []rota.Issued
	for _, s := range found {
		if slices.Contains(a.all, s.account) && !s.Role && !s.gone() {
			issued = append(issued, rota.Issued{ID: s.account.user, Active: !s.Locked, ExpiresAt: s.ends()})
		}
	}
	return issued, nil
}

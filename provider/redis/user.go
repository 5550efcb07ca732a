package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/rota-dev/rota"
)

// UserConfig names the user whose password is rotated.
type UserConfig struct {
	Name  string
	Rules rota.PasswordRules
}

// user rotates a password of one ACL user. All else of the user (rules, keys,
// channels, passwords that aren't Rota's) is left alone.
type user struct {
	conn  *Connection
	name  string
	rules rota.PasswordRules
}

var (
	_ rota.Issuer      = (*user)(nil)
	_ rota.Lister      = (*user)(nil)
	_ rota.UseReporter = (*user)(nil)
	_ rota.Teller      = (*user)(nil)
	_ rota.Completer   = (*user)(nil)
	_ rota.Preflighter = (*user)(nil)
)

// traits: a user can have any number of passwords. One login proves a password,
// because each server checks it against its own list.
func traits() rota.Traits { return rota.Traits{Kind: "Redis password", TestSuccesses: 1} }

// User returns the issuer for one user's passwords.
func (c *Connection) User(cfg UserConfig) (rota.Issuer, error) {
	if err := checkUser(cfg.Name, c.cfg.Username); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	if err := cfg.Rules.Validate(); err != nil {
		return nil, fmt.Errorf("%s: user %s: password: %w", c.system(), cfg.Name, err)
	}
	return &user{conn: c, name: cfg.Name, rules: cfg.Rules}, nil
}

// checkUser refuses names that can't be rotated. own is Rota's own user.
func checkUser(name, own string) error {
	switch {
	case name == "":
		return errors.New("the user's name is empty")
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == 0 }):
		return fmt.Errorf("user %q: a name has no blanks", name)
	case name == "default":
		// Its passwords and requirepass replace each other when the server starts.
		return rota.WithRemedies(errors.New("user default: its password also depends on the server's requirepass"), rota.Configure("", "a user of the application's own"))
	case name == own:
		return rota.WithRemedies(fmt.Errorf("user %s is the one Rota logs in as, so Rota would lock itself out", name), rota.Configure("", "a connection with a user of its own"))
	}
	return nil
}

// Traits implements [rota.Issuer].
func (u *user) Traits() rota.Traits { return traits() }

// CredentialID implements [rota.Issuer]: the user's name, and a few digits that
// stand for the password.
func (u *user) CredentialID(c rota.Credential) string {
	if c.Field(rota.FieldUsername) == "" || c.Field(rota.FieldPassword) == "" {
		return ""
	}
	return u.conn.ids.of(c.Field(rota.FieldUsername), hashOf(c.Field(rota.FieldPassword)))
}

// Complete implements [rota.Completer]: a person need not repeat the user's name.
func (u *user) Complete(c rota.Credential) rota.Credential {
	fields := c.Fields()
	if fields == nil {
		fields = map[string]string{}
	}
	if fields[rota.FieldUsername] == "" {
		fields[rota.FieldUsername] = u.name
	}
	return rota.NewCredential(fields)
}

// Create implements [rota.Issuer]: it generates a password, and touches nothing.
// In the rare case that its id is one that the user has, it generates another.
func (u *user) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	op := "make a password for user " + u.name
	for {
		if err := ctx.Err(); err != nil {
			return rota.Credential{}, u.conn.failed(ctx, op, err)
		}
		password, err := u.rules.Generate(nil)
		if err != nil {
			return rota.Credential{}, fmt.Errorf("%s: user %s: %w", u.conn.system(), u.name, err)
		}
		c := rota.NewCredential(map[string]string{rota.FieldUsername: u.name, rota.FieldPassword: password})
		if !slices.Contains(r.Taken, u.CredentialID(c)) {
			return c, nil
		}
	}
}

// ours rejects a credential of another user.
func (u *user) ours(op string, c rota.Credential) error {
	if c.Field(rota.FieldUsername) == u.name {
		return nil
	}
	return u.conn.stop(op, fmt.Errorf("user %q isn't this secret's, which is %s", c.Field(rota.FieldUsername), u.name),
		rota.Outside("a stored credential whose username is "+u.name))
}

// Set implements [rota.Issuer]: it adds the password on every server. Only its
// SHA-256 is sent, which is what the server keeps.
func (u *user) Set(ctx context.Context, r rota.SetRequest) error {
	op := "add a password to user " + u.name
	if err := u.ours(op, r.Credential); err != nil {
		return err
	}
	hash := hashOf(r.Credential.Field(rota.FieldPassword))
	return u.conn.each(ctx, func(ctx context.Context, n *node) error {
		a, err := n.account(ctx, u.name)
		if err != nil {
			return u.conn.failed(ctx, n.at(op), err, r.Credential)
		}
		if err := u.usable(n.at(op), a); err != nil {
			return err
		}
		return n.change(ctx, n.at(op), u.name, "#"+hash, "!"+hash, r.Credential)
	})
}

// usable refuses what a new password would change beyond itself, or not change.
func (u *user) usable(op string, a *account) error {
	switch {
	case a == nil:
		return u.conn.stop(op, fmt.Errorf("%w: the server has no such user", rota.ErrNotFound),
			rota.Outside("ACL SETUSER "+u.name+" on, with the commands, keys and channels that its consumers need"))
	case a.open:
		// Adding a password would take nopass away from whoever logs in without.
		return u.conn.stop(op, errors.New("the user has nopass: any password logs in, so a login proves nothing"),
			rota.Outside("ACL SETUSER "+u.name+" resetpass, once nobody logs in with another password"))
	case !a.on:
		return u.conn.stop(op, errors.New("the user is off, so nobody can log in"), rota.Outside("ACL SETUSER "+u.name+" on"))
	}
	return nil
}

// Test implements [rota.Issuer]: the password has to log in on every server.
func (u *user) Test(ctx context.Context, r rota.TestRequest) error {
	op := "log in as user " + u.name
	if err := u.ours(op, r.Credential); err != nil {
		return err
	}
	return u.conn.each(ctx, func(ctx context.Context, n *node) error {
		return u.conn.refused(ctx, n.at(op), n.login(ctx, r.Credential), r.Credential)
	})
}

// Delete implements [rota.Issuer]: it removes the password on every server that
// has it, and has each write down that it's gone. Connections that logged in with
// it stay open.
func (u *user) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "remove password " + r.CredentialID
	return u.conn.each(ctx, func(ctx context.Context, n *node) error {
		a, err := n.account(ctx, u.name)
		if err != nil {
			return u.conn.failed(ctx, n.at(op), err)
		}
		if a == nil {
			return nil
		}
		found := slices.DeleteFunc(slices.Clone(a.hashes), func(hash string) bool { return u.conn.ids.of(u.name, hash) != r.CredentialID })
		switch len(found) {
		case 0:
			return n.save(ctx, n.at(op)) // a removal before may have been interrupted
		case 1:
			return n.change(ctx, n.at(op), u.name, "!"+found[0], "#"+found[0])
		}
		return u.conn.stop(n.at(op), errors.New("two passwords of the user have that id"), rota.Outside("remove the password that isn't Rota's: ACL SETUSER "+u.name+" <password"))
	})
}

// List implements [rota.Lister]: the passwords that at least one server has.
func (u *user) List(ctx context.Context) ([]rota.Issued, error) {
	op := "list the passwords of user " + u.name
	var issued []rota.Issued
	err := u.conn.each(ctx, func(ctx context.Context, n *node) error {
		a, err := n.account(ctx, u.name)
		if err != nil {
			return u.conn.failed(ctx, n.at(op), err)
		}
		if a == nil {
			return nil
		}
		for _, hash := range a.hashes {
			id := u.conn.ids.of(u.name, hash)
			at := slices.IndexFunc(issued, func(i rota.Issued) bool { return i.ID == id })
			if at < 0 {
				issued = append(issued, rota.Issued{ID: id, Active: a.on})
			} else if a.on {
				issued[at].Active = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return issued, nil
}

// InForce implements [rota.Teller]: every server has the password.
func (u *user) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	op := "look which passwords user " + u.name + " has"
	if err := u.ours(op, c); err != nil {
		return false, false, err
	}
	hash := hashOf(c.Field(rota.FieldPassword))
	inForce = true
	err = u.conn.each(ctx, func(ctx context.Context, n *node) error {
		a, err := n.account(ctx, u.name)
		if err != nil {
			return u.conn.failed(ctx, n.at(op), err, c)
		}
		inForce = inForce && a != nil && a.on && slices.Contains(a.hashes, hash)
		return nil
	})
	return inForce && err == nil, err == nil, err
}

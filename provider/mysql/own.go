package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// OwnConfig names a user who changes its own password: there's no other account to
// log in as.
type OwnConfig struct {
	User  string
	Rules rota.PasswordRules
	// Known returns the credentials, one of which is in force.
	Known func(context.Context) ([]rota.Credential, error)
}

// own rotates the password of the account it logs in as. It can't see accounts or
// sessions, and doesn't need to: the old password ends with the change. At which
// host its account is for, the server decides.
type own struct {
	conn  *Connection
	user  string
	rules rota.PasswordRules
	known func(context.Context) ([]rota.Credential, error)
}

var _ rota.Issuer = (*own)(nil)

// Own returns the issuer for a password that its user changes. It ignores the
// settings Username and Password.
func Own(name string, cfg Config, o OwnConfig) (rota.Issuer, error) {
	cfg.Username, cfg.Password = o.User, ""
	c, err := New(name, cfg)
	if err != nil {
		return nil, err
	}
	if _, err := newAccount(o.User, ""); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	if err := o.Rules.Validate(); err != nil {
		return nil, fmt.Errorf("%s: password: %w", c.system(), err)
	}
	return &own{conn: c, user: o.User, rules: o.Rules, known: o.Known}, nil
}

// Traits implements [rota.Issuer]: there is no overlap. MySQL would retain the old
// password only for a user with APPLICATION_PASSWORD_ADMIN.
func (o *own) Traits() rota.Traits { return passwordTraits() }

// CredentialID implements [rota.Issuer]: the user's name.
func (o *own) CredentialID(c rota.Credential) string { return c.Field(rota.FieldUsername) }

// Create implements [rota.Issuer]: it generates a new password, and touches nothing.
func (o *own) Create(context.Context, rota.CreateRequest) (rota.Credential, error) {
	password, err := o.rules.Generate(nil)
	if err != nil {
		return rota.Credential{}, fmt.Errorf("%s: user %s: %w", o.conn.system(), o.user, err)
	}
	return rota.NewCredential(map[string]string{rota.FieldUsername: o.user, rota.FieldPassword: password}), nil
}

// ours rejects another user's credential.
func (o *own) ours(op, user string) error {
	if user == o.user {
		return nil
	}
	return o.stop(op, fmt.Errorf("user %q isn't this secret's, which is %s", user, o.user), "a stored credential whose username is "+o.user)
}

func (o *own) stop(op string, err error, hint string) error {
	return &rota.Error{System: o.conn.system(), Connection: o.conn.name, Op: op, Class: rota.ClassStop, Err: err, Remedies: rota.Outside(hint)}
}

// Test implements [rota.Issuer]: the server takes the login for this user's.
func (o *own) Test(ctx context.Context, r rota.TestRequest) error {
	user := o.CredentialID(r.Credential)
	op := "log in as user " + user
	if err := o.ours(op, user); err != nil {
		return err
	}
	return o.conn.refused(op, o.login(ctx, op, r.Credential, func(context.Context, *sql.Conn) error { return nil }), r.Credential)
}

// login logs in as the user, and not as an anonymous one that the server prefers.
func (o *own) login(ctx context.Context, op string, c rota.Credential, do func(context.Context, *sql.Conn) error) error {
	return o.conn.login(ctx, c, "", neutral, func(ctx context.Context, conn *sql.Conn) error {
		found, err := rows(ctx, conn, "SELECT CURRENT_USER() AS account")
		if err != nil {
			return err
		}
		if got := found[0]["account"]; !strings.HasPrefix(got, o.user+"@") {
			return o.stop(op, fmt.Errorf("the server took the login for account %s", got), "DROP USER for the other account, if nobody needs it")
		}
		return do(ctx, conn)
	})
}

// Set implements [rota.Issuer]. It logs in with whichever of the known passwords is
// in force; if that's the new one, it's done.
func (o *own) Set(ctx context.Context, s rota.SetRequest) error {
	user := o.CredentialID(s.Credential)
	op := "set password of user " + user + ", as that user"
	if err := o.ours(op, user); err != nil {
		return err
	}
	err := o.Test(ctx, rota.TestRequest{Credential: s.Credential})
	if !errors.Is(err, rota.ErrRefused) {
		return err
	}
	known, err := o.known(ctx)
	if err != nil {
		return err
	}
	for _, c := range known {
		if o.CredentialID(c) != user {
			continue
		}
		err := o.login(ctx, op, c, func(ctx context.Context, conn *sql.Conn) error { return o.change(ctx, op, conn, c, s.Credential) })
		if err == nil {
			return nil
		}
		if !isLogin(err) && !rejected(err) {
			return o.conn.failed(op, err, s.Credential, c)
		}
		if err := o.conn.refused(op, err, c); !errors.Is(err, rota.ErrRefused) {
			return err
		}
	}
	return o.stop(op, errors.New("none of the stored passwords logs in"), "a masterarn in the secret, with an account that may change others' passwords, or the right password in the secret")
}

// change replaces the password of the user who is logged in. MySQL takes a hash
// from nobody but an administrator; it keeps passwords in such a statement out of
// its logs. MariaDB doesn't, and takes a hash.
func (o *own) change(ctx context.Context, op string, conn *sql.Conn, old, next rota.Credential) error {
	_, isMySQL, err := product(ctx, conn)
	if err != nil {
		return err
	}
	password := next.Field(rota.FieldPassword)
	if isMySQL {
		return limited(ctx, conn, "ALTER USER USER() IDENTIFIED BY "+literal(password)+" REPLACE "+literal(old.Field(rota.FieldPassword)))
	}
	found, err := rows(ctx, conn, "SHOW CREATE USER")
	if err != nil {
		return err
	}
	plugin := pluginNative
	for _, text := range found[0] { // its name has the account in it
		if via := identifiedVia.FindStringSubmatch(text); via != nil {
			plugin = via[1]
			if via[2] != "" || storedForms[plugin] == nil || plugin == pluginSHA2 {
				return o.stop(op, fmt.Errorf("the user logs in by %s%s, and a password for that isn't Rota's to set", plugin, via[2]), "ALTER USER … IDENTIFIED VIA ed25519 or mysql_native_password alone")
			}
		}
	}
	hash, err := stored(plugin, o.user, password)
	if err != nil {
		return &rota.Error{System: o.conn.system(), Connection: o.conn.name, Op: op, Class: rota.ClassRegenerate, Err: err}
	}
	return limited(ctx, conn, "SET PASSWORD = '"+hash+"'")
}

// identifiedVia is how MariaDB shows the plugins of an account.
var identifiedVia = regexp.MustCompile(`IDENTIFIED VIA (\w+)(?: USING '[^']*')?( OR )?`)

// Delete implements [rota.Issuer]: a user's only password is never deleted.
func (o *own) Delete(_ context.Context, r rota.RetireRequest) error {
	return &rota.Error{System: o.conn.system(), Connection: o.conn.name, Op: "delete password of user " + r.CredentialID, Class: rota.ClassStop,
		Err: fmt.Errorf("%w: an account's only password is not deleted; the next one replaces it", rota.ErrConflict)}
}

// Preflight implements [rota.Preflighter]: one of the stored passwords must log in.
func (o *own) Preflight(ctx context.Context) []rota.Finding {
	return provider.OwnLogin(ctx, "user", o.user, o.known, o.Test)
}

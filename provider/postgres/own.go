package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// OwnConfig names a role that changes its own password: there's no other role
// to log in as.
type OwnConfig struct {
	Role  string
	Rules rota.PasswordRules
	// Known returns the credentials, one of which is in force.
	Known func(context.Context) ([]rota.Credential, error)
}

// own rotates the password of the role it logs in as. It can't list roles or
// see sessions, and doesn't need to: a role has one password.
type own struct {
	roles roles
	known func(context.Context) ([]rota.Credential, error)
}

var _ rota.Issuer = (*own)(nil)

// Own returns the issuer for a password that the role changes itself. It
// ignores the settings Username and Password.
func Own(name string, cfg Config, o OwnConfig) (rota.Issuer, error) {
	cfg.Username, cfg.Password = o.Role, ""
	c, err := New(name, cfg)
	if err != nil {
		return nil, err
	}
	if err := checkRole(o.Role); err != nil {
		return nil, fmt.Errorf("%s: %w", c.system(), err)
	}
	if err := o.Rules.Validate(); err != nil {
		return nil, fmt.Errorf("%s: password: %w", c.system(), err)
	}
	return &own{roles: roles{conn: c, names: []string{o.Role}, rules: o.Rules}, known: o.Known}, nil
}

// Traits implements [rota.Issuer]: there is no overlap.
func (o *own) Traits() rota.Traits {
	return rota.Traits{Kind: "PostgreSQL password", Limit: 1, TestSuccesses: testSuccesses}
}

// CredentialID implements [rota.Issuer]: the role's name.
func (o *own) CredentialID(c rota.Credential) string { return o.roles.CredentialID(c) }

// Create implements [rota.Issuer]: it generates a new password, and touches nothing.
func (o *own) Create(context.Context, rota.CreateRequest) (rota.Credential, error) {
	return o.roles.generate(o.roles.names[0])
}

// Test implements [rota.Issuer].
func (o *own) Test(ctx context.Context, r rota.TestRequest) error { return o.roles.Test(ctx, r) }

// Set implements [rota.Issuer]. It logs in with whichever of the known
// passwords is in force; if that's the new one, it's done.
func (o *own) Set(ctx context.Context, s rota.SetRequest) error {
	role := o.CredentialID(s.Credential)
	op := "set password of role " + role + ", as that role"
	if err := o.roles.ours(op, role); err != nil {
		return err
	}
	hash, err := verifier(s.Credential.Field(rota.FieldPassword))
	if err != nil {
		return &rota.Error{System: o.roles.conn.system(), Connection: o.roles.conn.name, Op: op, Class: rota.ClassRegenerate, Err: err}
	}
	err = o.roles.Test(ctx, rota.TestRequest{Credential: s.Credential})
	if !errors.Is(err, rota.ErrRefused) {
		return err
	}
	known, err := o.known(ctx)
	if err != nil {
		return err
	}
	for _, c := range known {
		if o.CredentialID(c) != role {
			continue
		}
		err := o.roles.conn.login(ctx, c, func(ctx context.Context, conn *pgconn.PgConn) error {
			for try := 1; ; try++ {
				err := write(ctx, conn, asItself+"ALTER ROLE "+quote(role)+" PASSWORD '"+hash+"'")
				if !wasOutrun(err) || try == maxOutrun {
					return err
				}
			}
		})
		if !isLogin(err) { // or none at all
			return o.roles.conn.failed(op, err, s.Credential, c)
		}
		if err := o.roles.conn.refused(op, err, c); !errors.Is(err, rota.ErrRefused) {
			return err
		}
	}
	return &rota.Error{System: o.roles.conn.system(), Connection: o.roles.conn.name, Op: op, Class: rota.ClassStop, Err: errors.New("none of the stored passwords logs in"),
		Remedies: rota.Outside("a masterarn in the secret, with a role that may change others' passwords, or the right password in the secret")}
}

// Delete implements [rota.Issuer]: a role's only password is never deleted.
func (o *own) Delete(_ context.Context, r rota.RetireRequest) error {
	return &rota.Error{System: o.roles.conn.system(), Connection: o.roles.conn.name, Op: "delete password of role " + r.CredentialID, Class: rota.ClassStop,
		Err: fmt.Errorf("%w: a role's only password is not deleted; the next one replaces it", rota.ErrConflict)}
}

// Preflight implements [rota.Preflighter]: one of the stored passwords must log in.
func (o *own) Preflight(ctx context.Context) []rota.Finding {
	return provider.OwnLogin(ctx, "role", o.roles.names[0], o.known, o.Test)
}

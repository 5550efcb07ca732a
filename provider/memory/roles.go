package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// RolesOptions configure [NewPassword] and [NewAlternating].
type RolesOptions struct {
	Options
	// Accept is the server's password policy. It returns the server's error for
	// a password it rejects. Defaults to accepting any.
	Accept func(password string) error
	// RefusedLogins is how many logins with a new password fail before it has
	// reached every replica.
	RefusedLogins int
	// TestSuccesses sets the field of [rota.Traits]. Defaults to 3.
	TestSuccesses int
}

// roles are the database roles that one secret uses.
type roles struct {
	part
	options RolesOptions
	traits  rota.Traits
	names   []string
	roles   map[string]*role
	before  []rota.Issued // the roles before the last write
	count   int
}

// role has at most one password. Without one, it doesn't count as issued.
type role struct {
	password string
	login    bool
	logins   int
	sessions int
}

func (d *roles) init(o RolesOptions, kind string, names ...string) {
	if o.TestSuccesses == 0 {
		o.TestSuccesses = 3
	}
	d.part.init(o.Options, "memory database")
	d.options, d.names = o, names
	d.traits = rota.Traits{Kind: kind, Limit: len(names), TestSuccesses: o.TestSuccesses}
	d.roles = map[string]*role{}
	for _, name := range names {
		d.roles[name] = &role{}
	}
}

// Traits returns the traits set by the options.
func (d *roles) Traits() rota.Traits { return d.traits }

// CredentialID returns the role's name.
func (d *roles) CredentialID(c rota.Credential) string { return c.Field(rota.FieldUsername) }

// Create chooses a password for a role that isn't taken, and changes nothing on
// the server. A single role is never taken.
func (d *roles) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	var made rota.Credential
	err := d.do(ctx, "issuer.create", func(Fault) error {
		name := d.names[0]
		if len(d.names) > 1 {
			i := slices.IndexFunc(d.names, func(n string) bool { return !slices.Contains(r.Taken, n) })
			if i < 0 {
				return d.refuse("choose a role", rota.ClassStop, fmt.Errorf("%s are all taken: %w", strings.Join(d.names, ", "), rota.ErrLimit))
			}
			name = d.names[i]
		}
		d.count++
		made = rota.NewCredential(map[string]string{
			rota.FieldUsername: name, rota.FieldPassword: value(d.opts.System+name, d.count)})
		return nil
	})
	if err != nil {
		return rota.Credential{}, err
	}
	return made, nil
}

// Set gives the role the password and lets it log in. If the policy rejects the
// password, the error's class is [rota.ClassRegenerate].
func (d *roles) Set(ctx context.Context, r rota.SetRequest) error {
	return d.do(ctx, "issuer.set", func(Fault) error {
		name, password := d.CredentialID(r.Credential), r.Credential.Field(rota.FieldPassword)
		role := d.roles[name]
		if role == nil || password == "" {
			return d.refuse("set password of role "+name, rota.ClassStop, rota.ErrNotFound)
		}
		if d.options.Accept != nil {
			if err := d.options.Accept(password); err != nil {
				return d.refuse("set password of role "+name, rota.ClassRegenerate, rota.Sanitize(err, r.Credential))
			}
		}
		if role.password == password && role.login {
			return nil
		}
		d.remember()
		role.password, role.login, role.logins = password, true, 0
		d.made = append(d.made, name)
		return nil
	})
}

// Test logs in once.
func (d *roles) Test(ctx context.Context, r rota.TestRequest) error {
	return d.do(ctx, "issuer.test", func(Fault) error {
		if !d.login(r.Credential) {
			return d.refuse("log in as "+d.CredentialID(r.Credential), rota.ClassWait, rota.ErrRefused)
		}
		return nil
	})
}

// login reports whether the credential logs in. The caller holds the lock.
func (d *roles) login(c rota.Credential) bool {
	role := d.roles[d.CredentialID(c)]
	if role == nil || !role.login || role.password == "" || role.password != c.Field(rota.FieldPassword) {
		return false
	}
	role.logins++
	return role.logins > d.options.RefusedLogins
}

// Delete removes a role's password permanently. It returns [rota.ErrConflict]
// if the role can still log in.
func (d *roles) Delete(ctx context.Context, r rota.RetireRequest) error {
	return d.do(ctx, "issuer.delete", func(Fault) error {
		role := d.roles[r.CredentialID]
		if role == nil || role.password == "" {
			return nil
		}
		if role.login {
			return d.refuse("delete role "+r.CredentialID, rota.ClassStop, fmt.Errorf("it may log in: %w", rota.ErrConflict))
		}
		d.remember()
		*role = role.closed()
		d.made = append(d.made, r.CredentialID)
		return nil
	})
}

// closed returns the role without its password. Open sessions survive.
func (r *role) closed() role { return role{sessions: r.sessions} }

func (d *roles) refuse(op string, class rota.Class, err error) error {
	return &rota.Error{System: d.opts.System, Op: op, Class: class, Err: err}
}

func (d *roles) remember() { d.before = d.existing() }

func (d *roles) existing() []rota.Issued {
	list := make([]rota.Issued, 0, len(d.names))
	for _, name := range d.names {
		if role := d.roles[name]; role.password != "" {
			list = append(list, rota.Issued{ID: name, Active: role.login})
		}
	}
	return list
}

// Login simulates a consumer logging in with the credential, and reports
// whether it succeeded.
func (d *roles) Login(c rota.Credential) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.login(c)
}

// Keys returns the roles that actually have a password now, however stale a
// list is.
func (d *roles) Keys() []rota.Issued {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.existing()
}

// Plant sets a role's password as an administrator would, without faults, and
// returns the credential. It ignores a role that isn't one of the issuer's.
func (d *roles) Plant(name, password string) rota.Credential {
	d.mu.Lock()
	defer d.mu.Unlock()
	if role := d.roles[name]; role != nil {
		d.remember()
		role.password, role.login, role.logins = password, true, 0
	}
	return rota.NewCredential(map[string]string{rota.FieldUsername: name, rota.FieldPassword: password})
}

// Password issues the password of one database role. Rota chooses the password,
// and setting the new one invalidates the old one.
type Password struct{ roles }

// NewPassword makes the issuer for a role that has no password yet.
func NewPassword(role string, o RolesOptions) *Password {
	p := &Password{}
	p.init(o, "database password", role)
	return p
}

// Alternating issues passwords for two database roles in turn, so the previous
// one stays valid alongside the current one.
type Alternating struct{ roles }

// NewAlternating makes the issuer for two roles that have no passwords yet.
func NewAlternating(a, b string, o RolesOptions) *Alternating {
	alt := &Alternating{}
	alt.init(o, "database password, alternating roles", a, b)
	return alt
}

// List returns the roles that have a password.
func (a *Alternating) List(ctx context.Context) ([]rota.Issued, error) {
	var list []rota.Issued
	err := a.do(ctx, "issuer.list", func(f Fault) error {
		list = a.existing()
		if f.Stale {
			list = slices.Clone(a.before)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// LastUsed reports whether the role has open sessions right now.
func (a *Alternating) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	var use rota.Use
	err := a.do(ctx, "issuer.last_used", func(Fault) error {
		role := a.roles.roles[credentialID]
		if role == nil || role.password == "" {
			return a.refuse("look at sessions of role "+credentialID, rota.ClassStop, rota.ErrNotFound)
		}
		use = rota.Use{Evidence: rota.EvidenceSampled}
		if role.sessions > 0 {
			use.At, use.Detail = a.opts.Now(), fmt.Sprintf("%d sessions", role.sessions)
		}
		return nil
	})
	if err != nil {
		return rota.Use{}, err
	}
	return use, nil
}

// Deactivate makes the role's logins fail. Open sessions survive.
func (a *Alternating) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return a.do(ctx, "issuer.deactivate", func(Fault) error { return a.turn(r.CredentialID, false) })
}

// Reactivate lets the role log in again with its former password.
func (a *Alternating) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return a.do(ctx, "issuer.reactivate", func(Fault) error { return a.turn(r.CredentialID, true) })
}

func (a *Alternating) turn(name string, on bool) error {
	role := a.roles.roles[name]
	if role == nil || role.password == "" {
		return a.refuse("switch role "+name, rota.ClassStop, rota.ErrNotFound)
	}
	if role.login != on {
		a.remember()
		role.login = on
		a.made = append(a.made, name)
	}
	return nil
}

// Connect simulates a consumer opening a session, and reports whether it
// succeeded.
func (a *Alternating) Connect(c rota.Credential) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.login(c) {
		return false
	}
	a.roles.roles[a.CredentialID(c)].sessions++
	return true
}

// Disconnect ends one session of the role.
func (a *Alternating) Disconnect(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if role := a.roles.roles[name]; role != nil && role.sessions > 0 {
		role.sessions--
	}
}

package vault

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// StaticRole issues the password of a static role of a database engine. Vault chooses
// it, sets it at the database and keeps it: Rota decides when, and delivers it.
type StaticRole struct {
	Connection *Connection
	Mount      string // of the engine, such as "database"
	Role       string
}

var (
	_ rota.Issuer        = (*StaticRole)(nil)
	_ rota.Teller        = (*StaticRole)(nil)
	_ rota.Preflighter   = (*StaticRole)(nil)
	_ provider.Permitter = (*StaticRole)(nil)
)

func staticRoleTraits() rota.Traits {
	return rota.Traits{Kind: "Vault static role's password", IssuerChooses: true, Limit: 1, TestSuccesses: 1, FromCurrent: true, Readable: true}
}

// Traits implements [rota.Issuer].
func (s *StaticRole) Traits() rota.Traits { return staticRoleTraits() }

// CredentialID implements [rota.Issuer]: the database user's name.
func (s *StaticRole) CredentialID(c rota.Credential) string { return c.Field(rota.FieldUsername) }

// at is a path of the role.
func (s *StaticRole) at(kind string) string { return path.Join(s.Mount, kind, s.Role) }

func (s *StaticRole) name() string { return "static role " + s.Role + " at " + s.Mount }

// staticCreds is what Vault keeps of a static role.
type staticCreds struct {
	Username string    `json:"username"`
	Password string    `json:"password"`
	Rotated  time.Time `json:"last_vault_rotation"`
	TTL      float64   `json:"ttl"`             // seconds until Vault rotates it by itself
	Period   float64   `json:"rotation_period"` // seconds
	Schedule string    `json:"rotation_schedule"`
}

// read reads the password in force, as far as Vault knows.
func (s *StaticRole) read(ctx context.Context) (staticCreds, error) {
	var now staticCreds
	k := call{op: "read the password of " + s.name(), method: http.MethodGet, path: s.at("static-creds")}
	_, err := s.Connection.do(ctx, k, &now)
	switch {
	case err != nil:
		return staticCreds{}, err
	case now.Username == "":
		return staticCreds{}, s.Connection.fail(k, nil, errUnreadable)
	case now.Password == "":
		return staticCreds{}, s.Connection.refuse(k.op, "have Vault rotate it once, if it was imported without that (skip_import_rotation): vault write -f "+s.at("rotate-role")+"; or set credential_type of the role to password", errors.New("the role has no password yet, or its credential is of another type"))
	}
	return now, nil
}

func (n staticCreds) credential() rota.Credential {
	return rota.NewCredential(map[string]string{rota.FieldUsername: n.Username, rota.FieldPassword: n.Password})
}

// is reports whether a credential is the one in force.
func (n staticCreds) is(c rota.Credential) bool {
	return n.Username == c.Field(rota.FieldUsername) && subtle.ConstantTimeCompare([]byte(n.Password), []byte(c.Field(rota.FieldPassword))) == 1
}

// wentBack reports whether Vault set it before Rota had the current one. Vault goes
// back only when its storage does.
func (s *StaticRole) wentBack(now staticCreds, since time.Time) bool {
	return !now.Rotated.IsZero() && s.Connection.clock.Here(now.Rotated).Before(since.Add(-clockSlack))
}

// clockSlack is how exactly Vault's clock is known.
const clockSlack = 2 * time.Second

// Create implements [rota.Issuer]. If Vault's password isn't the current one's, Vault
// has rotated it already: by itself, or because Rota asked and the answer was lost.
// Then that's the new one, unless a person asked for a new value, because the one in force
// may be the one that leaked; and unless it's from before the current one: then Vault was
// restored from a snapshot, and the database doesn't take what it went back to.
func (s *StaticRole) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	if !r.Current.IsZero() && !r.Anew {
		now, err := s.read(ctx)
		if err != nil {
			return rota.Credential{}, err
		}
		if !now.is(r.Current) && !s.wentBack(now, r.CurrentSince) {
			return now.credential(), nil
		}
	}
	// Vault writes the new password down before it tells the database. If it fails
	// after that, it goes on by itself, and asking again goes on with that password.
	if _, err := s.Connection.do(ctx, call{op: "rotate " + s.name(), method: http.MethodPost, path: s.at("rotate-role"), body: map[string]any{}}, nil); err != nil {
		return s.settle(ctx, r.Current, err)
	}
	now, err := s.read(ctx)
	if err != nil {
		return rota.Credential{}, err
	}
	if now.is(r.Current) {
		return rota.Credential{}, &rota.Error{System: s.Connection.system(), Connection: s.Connection.name, Op: "rotate " + s.name(), Class: rota.ClassWait,
			Err: errors.New("Vault accepted that and still shows the password from before"), Remedies: rota.Outside("see in Vault's log whether it reaches the database")} //nolint:staticcheck // a name
	}
	return now.credential(), nil
}

// settle is what came of a rotation whose answer was lost: consumers can't log in until
// they have the new password, so that isn't left to the next look.
func (s *StaticRole) settle(ctx context.Context, current rota.Credential, lost error) (rota.Credential, error) {
	if current.IsZero() || rota.ClassOf(lost) != rota.ClassWait {
		return rota.Credential{}, lost
	}
	if now, err := s.read(ctx); err == nil && !now.is(current) {
		return now.credential(), nil
	}
	return rota.Credential{}, lost
}

// Set implements [rota.Issuer]: Vault sets the password itself.
func (s *StaticRole) Set(ctx context.Context, _ rota.SetRequest) error { return ctx.Err() }

// Test implements [rota.Issuer]: it asks Vault whether that's the password, and
// doesn't log in to the database.
func (s *StaticRole) Test(ctx context.Context, r rota.TestRequest) error {
	now, err := s.read(ctx)
	if err != nil || now.is(r.Credential) {
		return err
	}
	why := "Vault keeps another password"
	if now.Username != r.Credential.Field(rota.FieldUsername) {
		why = "Vault's role is for user " + provider.Said(now.Username)
	} else if !now.Rotated.IsZero() {
		why += ", from " + now.Rotated.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	// It will never be in force again, and waiting changes nothing.
	return &rota.Error{System: s.Connection.system(), Connection: s.Connection.name, Op: "test the password of " + s.name(), Class: rota.ClassRegenerate, Err: fmt.Errorf("%w: %s", rota.ErrRefused, why)}
}

// InForce implements [rota.Teller].
func (s *StaticRole) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	now, err := s.read(ctx)
	return err == nil && now.is(c), err == nil, err
}

// Delete implements [rota.Issuer]. The next password ends the one before.
func (s *StaticRole) Delete(ctx context.Context, _ rota.RetireRequest) error { return ctx.Err() }

// seldom is how long Vault's own period has to be for it not to come in Rota's way.
const seldom = 365 * rota.Day

// Preflight implements [rota.Preflighter].
func (s *StaticRole) Preflight(ctx context.Context) []rota.Finding {
	findings, ok := s.Connection.preflight(ctx, s.needs())
	if !ok {
		return findings
	}
	now, err := s.read(ctx)
	check := "read the password of " + s.name()
	if err != nil {
		return append(findings, provider.Found(check, "", err))
	}
	findings = append(findings, provider.Found(check, "of user "+provider.Said(now.Username), nil))
	return append(findings, now.schedule("Vault's own schedule for "+s.name(), s.at("static-roles")))
}

// schedule says when Vault rotates the password by itself.
func (n staticCreds) schedule(check, role string) rota.Finding {
	next := ", and next in " + rota.FormatDuration(secondsOf(int64(n.TTL)))
	const lag = ". What uses the password can't log in until Rota has noticed and delivered the new one, a day later at most"
	remedy := "vault write " + role + " username=" + provider.Said(n.Username) + " rotation_period=87600h, so that only Rota decides when"
	switch period := secondsOf(int64(n.Period)); {
	case n.Schedule != "":
		return provider.Warned(check, "Vault rotates it by itself at "+provider.Said(n.Schedule)+next+lag, remedy)
	case period > 0 && period < seldom:
		return provider.Warned(check, "Vault rotates it by itself every "+rota.FormatDuration(period)+next+lag, remedy)
	case period > 0:
		return provider.Found(check, "every "+rota.FormatDuration(period)+", counted from Rota's last rotation", nil)
	}
	return provider.Found(check, "none", nil)
}

// needs are the permissions for the role.
func (s *StaticRole) needs() []need {
	return []need{
		{path: s.at("rotate-role"), capabilities: []string{"update"}, why: "has Vault rotate the password"},
		{path: s.at("static-creds"), capabilities: []string{"read"}, why: "reads the password, and sees whether Vault rotated it by itself"},
	}
}

// Permissions implements [provider.Permitter].
func (s *StaticRole) Permissions() []provider.Permission { return permissions(s.needs()) }

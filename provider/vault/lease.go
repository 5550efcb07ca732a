package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// FieldLeaseID is the field of a lease's credential that names the lease.
const FieldLeaseID = "lease_id"

// The engines that leases come from.
const (
	EngineDatabase = "database"
	EngineAWS      = "aws"
)

// engineFields are the fields that a credential gets from an engine's answer, by their
// names there.
var engineFields = map[string]map[string]string{
	EngineDatabase: {"username": rota.FieldUsername, "password": rota.FieldPassword},
	EngineAWS:      {"access_key": rota.FieldAccessKeyID, "secret_key": rota.FieldSecretAccessKey, "security_token": rota.FieldSessionToken, "session_token": rota.FieldSessionToken},
}

// Leases issues credentials that an engine makes for each request, and ends with
// their lease.
type Leases struct {
	Connection *Connection
	Engine     string // [EngineDatabase] or [EngineAWS]
	Mount      string // of the engine, such as "database"
	Role       string
	// STS asks AWS's engine for a session instead of a user with a key: it can be
	// neither renewed nor revoked.
	STS bool
	// TTL is how long a credential lasts: its lease is renewed until then.
	TTL time.Duration
	// RenewFor is how long the lease lasts after each renewal. Defaults to the role's
	// default_ttl.
	RenewFor time.Duration
}

var (
	_ rota.Issuer        = (*Leases)(nil)
	_ rota.Preflighter   = (*Leases)(nil)
	_ rota.Renewer       = (*Leases)(nil)
	_ provider.Permitter = (*Leases)(nil)
)

func leaseTraits(ttl time.Duration, sts bool) rota.Traits {
	return rota.Traits{Kind: "Vault lease", IssuerChooses: true, TestSuccesses: 1, Lifetime: ttl, Revocable: !sts, Renewable: !sts}
}

// Traits implements [rota.Issuer].
func (l *Leases) Traits() rota.Traits { return leaseTraits(l.TTL, l.STS) }

// CredentialID implements [rota.Issuer]: the lease's id.
func (l *Leases) CredentialID(c rota.Credential) string { return c.Field(FieldLeaseID) }

func (l *Leases) at() string {
	if l.STS {
		return path.Join(l.Mount, "sts", l.Role)
	}
	return path.Join(l.Mount, "creds", l.Role)
}

func (l *Leases) role() string { return "role " + l.Role + " at " + l.Mount }

// lease is one as Vault answers it.
type lease struct {
	id        string
	duration  time.Duration
	renewable bool
}

func leaseOf(r result) lease {
	return lease{r.LeaseID, secondsOf(r.LeaseDuration), r.Renewable}
}

// Create implements [rota.Issuer]. The lease ends with the role's default_ttl unless it's
// renewed, so what a lost answer leaves behind soon ends by itself.
func (l *Leases) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	if err := l.outlives(ctx); err != nil {
		return rota.Credential{}, err
	}
	k := call{op: "make a credential of " + l.role(), method: http.MethodGet, path: l.at()}
	if l.Engine == EngineAWS {
		k.method, k.allow, k.body = http.MethodPost, "update", map[string]any{"ttl": int64(l.TTL / time.Second)}
	}
	asked := l.Connection.cfg.Now()
	var data map[string]json.RawMessage
	r, err := l.Connection.do(ctx, k, &data)
	if err != nil {
		return rota.Credential{}, err
	}
	made := leaseOf(r)
	fields, err := l.fields(data)
	if made.id == "" || err != nil {
		l.giveUp(ctx, made.id)
		return rota.Credential{}, l.Connection.refuse(k.op, "name a role that issues users with passwords, or keys", errors.Join(errors.New("the answer holds no such credential with a lease"), err))
	}
	lasts := l.TTL
	if !made.renewable || l.STS {
		lasts = min(made.duration, l.TTL)
	}
	if lasts < l.TTL-leaseSlack {
		l.giveUp(ctx, r.LeaseID)
		return rota.Credential{}, l.tooShort(k.op, made.duration)
	}
	fields[FieldLeaseID] = r.LeaseID
	fields[rota.FieldExpiration] = asked.Add(lasts).UTC().Format(time.RFC3339)
	return rota.NewCredential(fields), nil
}

// leaseSlack is how much less than ttl a lease may last: Vault counts from the request
// that made it.
const leaseSlack = 2 * time.Minute

func (l *Leases) tooShort(op string, most time.Duration) error {
	return &rota.Error{System: l.Connection.system(), Connection: l.Connection.name, Op: op, Class: rota.ClassStop,
		Err:      fmt.Errorf("the role allows %s at most, and ttl is %s", rota.FormatDuration(most.Round(time.Second)), rota.FormatDuration(l.TTL)),
		Remedies: append(rota.Configure("ttl", "ttl: "+rota.FormatDuration(most.Truncate(time.Minute))), rota.Outside("raise max_ttl of the role and of the engine's mount")...)}
}

// fields are the credential's, from an answer's data.
func (l *Leases) fields(data map[string]json.RawMessage) (map[string]string, error) {
	out := map[string]string{}
	for name, field := range engineFields[l.Engine] {
		var text string
		if json.Unmarshal(data[name], &text) == nil && text != "" {
			out[field] = text
		}
	}
	for _, field := range leaseFields(l.Engine, l.STS) {
		if out[field] == "" && field != FieldLeaseID && field != rota.FieldExpiration {
			return nil, fmt.Errorf("it has no %s", field)
		}
	}
	return out, nil
}

// giveUp revokes a lease that can't be used. Best effort: it ends by itself.
func (l *Leases) giveUp(ctx context.Context, id string) {
	if id != "" && !l.STS {
		_ = l.revoke(ctx, id)
	}
}

func (l *Leases) revoke(ctx context.Context, id string) error {
	_, err := l.Connection.do(ctx, call{op: "revoke lease " + id, method: http.MethodPost, path: "sys/leases/revoke", body: map[string]any{FieldLeaseID: id, "sync": true}}, nil)
	return err
}

// outlives makes sure that the token that the lease is made with lasts as long as the
// lease: Vault revokes a token's leases with it. A login's token is got afresh.
func (l *Leases) outlives(ctx context.Context) error {
	const op = "see how long the connection's own token lasts"
	c := l.Connection
	token, err := c.session.token(ctx, true)
	if err != nil {
		return err
	}
	a, err := c.lookUp(ctx, token)
	_, given := c.session.given()
	switch {
	case provider.StatusOf(err) == http.StatusForbidden && !isInvalid(err):
		return c.refuse(op, "allow read on auth/token/lookup-self, as Vault's default policy does", err)
	case err != nil:
		return err
	case a.Uses > 0:
		return c.refuse(op, "give it no limit of uses: token_num_uses of a login's role, or -use-limit of a token", fmt.Errorf("it's good for %d more calls, and Vault revokes the leases that were made with it after the last one", a.Uses))
	case a.TTL == 0, given && a.renewsFor(l.TTL-leaseSlack, c.vaultsNow()), secondsOf(a.TTL) >= l.TTL-leaseSlack:
		return nil
	}
	hint := "set token_ttl and token_max_ttl of the login's role to " + rota.FormatDuration(l.TTL) + " or more, or give the connection a token with a period"
	if given {
		hint = "give the connection a token with a period, or another login"
	}
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop, Remedies: rota.Outside(hint),
		Err: fmt.Errorf("it ends in %s, and Vault revokes the leases that were made with it: they are to last %s", rota.FormatDuration(secondsOf(a.TTL)), rota.FormatDuration(l.TTL))}
}

// Set implements [rota.Issuer]: a lease's credential is valid once it's made.
func (l *Leases) Set(ctx context.Context, _ rota.SetRequest) error { return ctx.Err() }

// Test implements [rota.Issuer]: it asks Vault whether there's still such a lease, and
// doesn't log in with the credential.
func (l *Leases) Test(ctx context.Context, r rota.TestRequest) error {
	id := l.CredentialID(r.Credential)
	op := "look at lease " + id
	if !strings.HasPrefix(id, l.at()+"/") {
		return l.Connection.refused(op, "it isn't a lease of "+l.role())
	}
	_, err := l.Connection.do(ctx, call{op: op, method: http.MethodPost, path: "sys/leases/lookup", body: map[string]any{FieldLeaseID: id}}, nil)
	if isEnded(err) {
		return l.Connection.refused(op, "it has ended")
	}
	return err
}

// Delete implements [rota.Issuer]. Revoking a lease that has ended isn't an error.
func (l *Leases) Delete(ctx context.Context, r rota.RetireRequest) error {
	if l.STS {
		return ctx.Err()
	}
	return l.revoke(ctx, r.CredentialID)
}

// Preflight implements [rota.Preflighter].
func (l *Leases) Preflight(ctx context.Context) []rota.Finding {
	findings, ok := l.Connection.preflight(ctx, l.needs())
	if !ok {
		return findings
	}
	findings = append(findings, provider.Found("the connection's own token lasts as long as a lease", "", l.outlives(ctx)))
	if l.Engine != EngineDatabase {
		return findings
	}
	check := "make credentials of " + l.role() + " for " + rota.FormatDuration(l.TTL)
	var role struct {
		Most int64 `json:"max_ttl"` // 0 for the mount's
	}
	_, err := l.Connection.do(ctx, call{op: "read " + l.role(), method: http.MethodGet, path: path.Join(l.Mount, "roles", l.Role)}, &role)
	switch {
	case provider.StatusOf(err) == http.StatusForbidden && !isInvalid(err):
		return findings // said already: it isn't needed for a rotation
	case err == nil && role.Most > 0 && secondsOf(role.Most) < l.TTL-leaseSlack:
		err = l.tooShort(check, secondsOf(role.Most))
	}
	return append(findings, provider.Found(check, "", err))
}

// needs are the permissions for the role.
func (l *Leases) needs() []need {
	capability := "read"
	if l.Engine == EngineAWS {
		capability = "update"
	}
	out := []need{{path: l.at(), capabilities: []string{capability}, why: "makes credentials"},
		{path: "sys/leases/lookup", capabilities: []string{"update"}, why: "sees whether a lease is still there"}}
	if !l.STS {
		out = append(out, need{path: "sys/leases/renew", capabilities: []string{"update"}, why: "keeps leases alive that are in use"},
			need{path: "sys/leases/revoke", capabilities: []string{"update"}, why: "revokes a lease that was given up, or that a person deletes"})
	}
	if l.Engine == EngineDatabase {
		out = append(out, need{path: path.Join(l.Mount, "roles", l.Role), capabilities: []string{"read"}, why: "sees what the role allows", occasion: provider.OccasionCheck})
	}
	return out
}

// Permissions implements [provider.Permitter].
func (l *Leases) Permissions() []provider.Permission { return permissions(l.needs()) }

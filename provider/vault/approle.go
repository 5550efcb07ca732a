package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// The fields of a secret id's credential.
const (
	FieldRoleID   = "role_id"
	FieldSecretID = "secret_id"
	FieldAccessor = "secret_id_accessor"
)

// markKey is the key of a secret id's metadata that holds the version it was made
// for.
const markKey = "rota_version"

// SecretIDs issues the secret ids of an AppRole. Each rotation makes another one, so
// the previous one stays valid meanwhile.
type SecretIDs struct {
	Connection *Connection
	Mount      string // of the auth method, such as "approle"
	Role       string
	// TTL is how long a secret id is valid. Defaults to what the role says.
	TTL time.Duration
	// NumUses is how many logins one is good for. Vault notes when one that has such a
	// number was last used, and that alone. Defaults to what the role says.
	NumUses int
	// CIDRs are the networks that may log in with it, and TokenCIDRs those that may use
	// the tokens. Default to what the role says.
	CIDRs, TokenCIDRs []string

	mu    sync.Mutex
	known map[string]secretID // by accessor: what List says of one never changes
}

var (
	_ rota.Issuer        = (*SecretIDs)(nil)
	_ rota.Lister        = (*SecretIDs)(nil)
	_ rota.UseReporter   = (*SecretIDs)(nil)
	_ rota.Preflighter   = (*SecretIDs)(nil)
	_ provider.Permitter = (*SecretIDs)(nil)
)

func secretIDTraits(ttl time.Duration) rota.Traits {
	return rota.Traits{Kind: "AppRole secret id", IssuerChooses: true, TestSuccesses: 2, ConsistencyDelay: 10 * time.Second, EndsAfter: ttl}
}

// Traits implements [rota.Issuer].
func (s *SecretIDs) Traits() rota.Traits { return secretIDTraits(s.TTL) }

// CredentialID implements [rota.Issuer]: the accessor, with which nobody can log in.
func (s *SecretIDs) CredentialID(c rota.Credential) string { return c.Field(FieldAccessor) }

// at is a path of the role.
func (s *SecretIDs) at(parts ...string) string {
	return path.Join(append([]string{"auth", s.Mount, "role", s.Role}, parts...)...)
}

func (s *SecretIDs) role() string { return "role " + s.Role + " at auth/" + s.Mount }

// fits makes sure that Vault lets a secret id be valid for TTL. If it's longer than the
// greatest lease of the auth method's mount, Vault shortens it and doesn't say so.
func (s *SecretIDs) fits(ctx context.Context) error {
	if s.TTL == 0 {
		return nil
	}
	var mount struct {
		Config struct {
			Most int64 `json:"max_lease_ttl"` // seconds
		} `json:"config"`
	}
	k := call{op: "see how long a secret id of " + s.role() + " may be valid", method: http.MethodGet, path: path.Join("sys/internal/ui/mounts/auth", s.Mount)}
	_, err := s.Connection.do(ctx, k, &mount)
	switch most := secondsOf(mount.Config.Most); {
	case err != nil && rota.ClassOf(err) == rota.ClassStop && !isInvalid(err):
		return nil // the server may be too old to say
	case err == nil && most > 0 && s.TTL > most:
		return &rota.Error{System: s.Connection.system(), Connection: s.Connection.name, Op: k.op, Class: rota.ClassStop,
			Err:      fmt.Errorf("the mount's max_lease_ttl allows %s, and ttl is %s: Vault would end it then without a word", rota.FormatDuration(most), rota.FormatDuration(s.TTL)),
			Remedies: append(rota.Configure("ttl", "ttl: "+rota.FormatDuration(most)), rota.Outside("vault auth tune -max-lease-ttl="+hours(s.TTL)+" "+s.Mount)...)}
	}
	return err
}

// hours is a duration as Vault's commands take it.
func hours(d time.Duration) string { return fmt.Sprintf("%dh", (d+time.Hour-1)/time.Hour) }

// Create implements [rota.Issuer]. It's never repeated here: whatever the answer
// was, the list shows what came of it.
func (s *SecretIDs) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	if err := s.fits(ctx); err != nil {
		return rota.Credential{}, err
	}
	var role struct {
		ID string `json:"role_id"`
	}
	if _, err := s.Connection.do(ctx, call{op: "read the role id of " + s.role(), method: http.MethodGet, path: s.at("role-id")}, &role); err != nil {
		return rota.Credential{}, err
	}
	marks := map[string]string{"managed_by": "rota"}
	if r.Version != "" {
		marks[markKey] = r.Version // Vault takes no empty value
	}
	metadata, err := json.Marshal(marks)
	if err != nil {
		return rota.Credential{}, err
	}
	body := map[string]any{"metadata": string(metadata)}
	if s.TTL > 0 {
		body["ttl"] = int64(s.TTL / time.Second)
	}
	if s.NumUses > 0 {
		body["num_uses"] = s.NumUses
	}
	if len(s.CIDRs) > 0 {
		body["cidr_list"] = s.CIDRs
	}
	if len(s.TokenCIDRs) > 0 {
		body["token_bound_cidrs"] = s.TokenCIDRs
	}
	var made struct {
		SecretID string `json:"secret_id"`
		Accessor string `json:"secret_id_accessor"`
	}
	k := call{op: "create a secret id of " + s.role(), method: http.MethodPost, path: s.at("secret-id"), body: body}
	if _, err := s.Connection.do(ctx, k, &made); err != nil {
		return rota.Credential{}, err
	}
	if role.ID == "" || made.SecretID == "" || made.Accessor == "" {
		return rota.Credential{}, s.Connection.fail(k, nil, errUnreadable)
	}
	return rota.NewCredential(map[string]string{FieldRoleID: role.ID, FieldSecretID: made.SecretID, FieldAccessor: made.Accessor}), nil
}

// Set implements [rota.Issuer]: a secret id is valid once it's created.
func (s *SecretIDs) Set(ctx context.Context, _ rota.SetRequest) error { return ctx.Err() }

// Test implements [rota.Issuer]: it logs in, and gives the token back.
func (s *SecretIDs) Test(ctx context.Context, r rota.TestRequest) error {
	return rota.Sanitize(s.test(ctx, r.Credential), r.Credential.Only(FieldSecretID))
}

func (s *SecretIDs) test(ctx context.Context, c rota.Credential) error {
	op := "log in with secret id " + s.CredentialID(c) + " of " + s.role()
	if c.Field(FieldRoleID) == "" || c.Field(FieldSecretID) == "" || s.CredentialID(c) == "" {
		return s.Connection.refuse(op, "give the role id, the secret id and its accessor", errors.New("the credential isn't a secret id"))
	}
	none := ""
	k := call{op: op, method: http.MethodPost, path: path.Join("auth", s.Mount, "login"), token: &none, used: []rota.Credential{c.Only(FieldSecretID)},
		body: map[string]any{"role_id": c.Field(FieldRoleID), "secret_id": c.Field(FieldSecretID)}}
	r, err := s.Connection.do(ctx, k, nil)
	if err != nil {
		return s.refused(op, err)
	}
	if r.Auth == nil || r.Auth.ClientToken == "" {
		return s.Connection.fail(k, nil, errUnreadable)
	}
	// Best effort: it ends by itself, and batch tokens can't be given back.
	_, _ = s.Connection.do(ctx, call{op: "give back the token of a test", method: http.MethodPost, path: "auth/token/revoke-self", token: &r.Auth.ClientToken}, nil)
	if name := r.Auth.Metadata["role_name"]; name != "" && !strings.EqualFold(name, s.Role) {
		return s.Connection.refuse(op, "the role in rota.yaml that the store's credential is for, or another credential in the store", fmt.Errorf("it's one of role %s", provider.Said(name)))
	}
	return nil
}

// refused is the error for a login that failed.
func (s *SecretIDs) refused(op string, err error) error {
	a, ok := errors.AsType[*provider.Answer](err)
	if !ok {
		return err
	}
	switch text := strings.ToLower(a.Message); {
	case strings.Contains(text, "cidr"):
		return s.Connection.refuse(op, "let Rota's own machine log in, too: add it to the role's or the issuer's networks", a)
	case a.Status == http.StatusBadRequest && strings.Contains(text, "invalid"), a.Status == http.StatusForbidden && !strings.Contains(text, "quota"):
		return s.Connection.refused(op, a.Error())
	}
	return err
}

// Delete implements [rota.Issuer].
func (s *SecretIDs) Delete(ctx context.Context, r rota.RetireRequest) error {
	k := call{op: "destroy secret id " + r.CredentialID + " of " + s.role(), method: http.MethodPost, path: s.at("secret-id-accessor", "destroy"), body: map[string]any{FieldAccessor: r.CredentialID}}
	_, err := s.Connection.do(ctx, k, nil)
	if provider.StatusOf(err) == 0 || isInvalid(err) {
		return err
	}
	// Vault answers 500 if it's gone already.
	if _, there, lookErr := s.lookUp(ctx, r.CredentialID); lookErr == nil && !there {
		return nil
	}
	return err
}

// minUses is how many logins a secret id must allow: as many as num_uses in rota.yaml.
const minUses = 100

// Preflight implements [rota.Preflighter].
func (s *SecretIDs) Preflight(ctx context.Context) []rota.Finding {
	findings, ok := s.Connection.preflight(ctx, s.needs())
	if !ok {
		return findings
	}
	check := "create secret ids of " + s.role()
	if err := s.fits(ctx); err != nil {
		return append(findings, provider.Found(check, "", err))
	}
	var role struct {
		Bind bool  `json:"bind_secret_id"`
		TTL  int64 `json:"secret_id_ttl"`
		Uses int   `json:"secret_id_num_uses"`
	}
	_, err := s.Connection.do(ctx, call{op: "read " + s.role(), method: http.MethodGet, path: s.at()}, &role)
	switch {
	case provider.StatusOf(err) == http.StatusForbidden && !isInvalid(err):
		return findings // said already: it isn't needed for a rotation
	case err != nil:
	case !role.Bind:
		err = rota.WithRemedies(errors.New("the role takes no secret ids: bind_secret_id is off"), rota.Outside("set bind_secret_id on the role"))
	case role.TTL > 0 && s.TTL > secondsOf(role.TTL):
		err = rota.WithRemedies(fmt.Errorf("the role's secret_id_ttl allows %s at most", rota.FormatDuration(secondsOf(role.TTL))), rota.Configure("ttl", "ttl: "+rota.FormatDuration(secondsOf(role.TTL))))
	case role.Uses > 0 && s.NumUses > role.Uses:
		err = rota.WithRemedies(fmt.Errorf("the role's secret_id_num_uses allows %d at most", role.Uses), rota.Configure("num_uses", fmt.Sprintf("num_uses: %d", role.Uses)))
	case s.NumUses == 0 && role.Uses > 0 && role.Uses < minUses:
		err = rota.WithRemedies(fmt.Errorf("the role's secret_id_num_uses ends a secret id after %d logins, Rota's own among them", role.Uses), rota.Outside("set secret_id_num_uses of the role to 0 or 1000000"))
	case s.NumUses == 0 && role.Uses == 0:
		f := provider.Warned(check, "Vault notes no use of its secret ids, so only a person can have the previous one destroyed before it expires", "")
		f.Remedies = rota.Configure("num_uses", "num_uses: 1000000")
		return append(findings, f)
	}
	return append(findings, provider.Found(check, "", err))
}

// needs are the permissions for the role.
func (s *SecretIDs) needs() []need {
	return []need{
		{path: s.at("role-id"), capabilities: []string{"read"}, why: "delivers the role id with each secret id"},
		{path: s.at("secret-id"), capabilities: []string{"list", "update"}, why: "creates secret ids, and lists those that exist"},
		{path: s.at("secret-id-accessor", "lookup"), capabilities: []string{"update"}, why: "recognizes its own secret ids, and sees when one was last used"},
		{path: s.at("secret-id-accessor", "destroy"), capabilities: []string{"update"}, why: "destroys the previous secret id"},
		{path: s.at(), capabilities: []string{"read"}, why: "sees what the role allows", occasion: provider.OccasionCheck},
	}
}

// Permissions implements [provider.Permitter].
func (s *SecretIDs) Permissions() []provider.Permission { return permissions(s.needs()) }

package function

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/randompassword"
	"github.com/rota-dev/rota/provider"
)

// CredentialConfig is what one function's credentials are like.
type CredentialConfig struct {
	// Name is the secret's, as the function sees it, or its ARN.
	Name string
	// ID is the field that tells whose credential it is. Defaults to "username".
	ID string
	// Fields are those that every credential has. Defaults to username and password.
	Fields []string
	// Users are the two that take turns; nil for a function that changes one user's
	// password.
	Users []string
	// Secrets are others that the function reads, by the id that it asks for.
	Secrets map[string]rota.Credential
	// Refused are texts in the function's errors that mean that a login was refused,
	// besides those of the usual database drivers.
	Refused []string
}

// Credentials issues what a rotation function makes.
type Credentials struct {
	c    *Connection
	cfg  CredentialConfig
	arn  string        // the secret's if the function knows it, "" for another one in each step
	turn chan struct{} // with arn: one step at a time, which nothing else tells apart
}

// Namer is what a function with two users is in addition.
type alternating struct{ *Credentials }

var (
	_ rota.Issuer      = (*Credentials)(nil)
	_ rota.Preflighter = (*Credentials)(nil)
	_ rota.Namer       = alternating{}
)

// defaultFields are those of a database's credentials.
var defaultFields = []string{rota.FieldUsername, rota.FieldPassword}

// Credentials returns the issuer.
func (c *Connection) Credentials(cfg CredentialConfig) rota.Issuer {
	if cfg.ID == "" {
		cfg.ID = rota.FieldUsername
	}
	if cfg.Fields == nil {
		cfg.Fields = defaultFields
	}
	if cfg.Name == "" {
		cfg.Name = c.name
	}
	out := &Credentials{c: c, cfg: cfg}
	if a, err := secretARN(cfg.Name); err == nil {
		out.arn, out.cfg.Name, out.turn = cfg.Name, nameOf(a), make(chan struct{}, 1)
	}
	if len(cfg.Users) > 0 {
		return alternating{out}
	}
	return out
}

// Names implements [rota.Namer].
func (a alternating) Names() []string { return slices.Clone(a.cfg.Users) }

func traits(users int) rota.Traits {
	t := rota.Traits{Kind: "rotation function's credential", FromCurrent: true, Limit: 1, TestSuccesses: 1}
	if users > 0 {
		t.Limit = users
	}
	return t
}

// Traits implements [rota.Issuer].
func (s *Credentials) Traits() rota.Traits { return traits(len(s.cfg.Users)) }

// CredentialID implements [rota.Issuer].
func (s *Credentials) CredentialID(c rota.Credential) string { return c.Field(s.cfg.ID) }

// Create implements [rota.Issuer]: it calls createSecret and takes what the function
// puts under AWSPENDING.
func (s *Credentials) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	const op = "create a credential"
	if r.Current.IsZero() {
		return rota.Credential{}, s.stop(op, errors.New("a rotation function makes a new credential from the one in use, and there's none"),
			[]rota.Remedy{{Action: rota.RemedyAdoptGiven, Text: "with the one in use"}})
	}
	if n := len(s.cfg.Users); n > 0 && !slices.ContainsFunc(s.cfg.Users, func(u string) bool { return !slices.Contains(r.Taken, u) }) {
		return rota.Credential{}, s.stop(op, fmt.Errorf("%w: all of %s have a credential", rota.ErrLimit, strings.Join(s.cfg.Users, ", ")), nil)
	}
	c, err := s.create(ctx, op, r.Version, r.Current)
	if err != nil {
		return rota.Credential{}, err
	}
	if slices.Contains(r.Taken, s.CredentialID(c)) && len(s.cfg.Users) > 0 {
		return rota.Credential{}, s.stop(op, fmt.Errorf("the function made another credential for %s, which is in use", s.CredentialID(c)),
			rota.Outside("see how the function chooses the next user, or leave out users if it always takes the same"))
	}
	return c, nil
}

// create calls createSecret.
func (s *Credentials) create(ctx context.Context, op, version string, current rota.Credential) (rota.Credential, error) {
	e := s.entry(version, &current, nil)
	if err := s.c.step(ctx, op, createSecret, e, "", nil); err != nil {
		return rota.Credential{}, err
	}
	put := e.written()
	if put == nil {
		return rota.Credential{}, s.stop(op, errors.New("createSecret succeeded without putting a value under AWSPENDING"), rota.Outside("look at the function's log"))
	}
	c := put.Only(s.cfg.Fields...)
	for _, name := range s.cfg.Fields {
		if c.Field(name) != "" {
			continue
		}
		remedies := rota.Configure("fields", provider.Said("those that the function writes: "+strings.Join(put.Names(), ", ")))
		if current.Field(name) == "" {
			remedies = append([]rota.Remedy{{Action: rota.RemedyAdoptGiven, Text: "with the one in use and its " + name}}, remedies...)
		}
		return rota.Credential{}, rota.Sanitize(s.stop(op, fmt.Errorf("the function's value has no field %s, or it's empty", name), remedies), *put)
	}
	id := s.CredentialID(c)
	if !showable(id) {
		return rota.Credential{}, s.stop(op, fmt.Errorf("the function's value has a %s that can't be shown: it's too long, or has characters other than printable ones", s.cfg.ID), rota.Outside("look at the function's log"))
	}
	if len(s.cfg.Users) == 0 && c.Field(rota.FieldUsername) != current.Field(rota.FieldUsername) {
		return rota.Credential{}, s.stop(op, fmt.Errorf("the function made a credential for %s, and the one in use is that of %s", id, s.CredentialID(current)),
			rota.Configure("users", "users: ["+s.CredentialID(current)+", "+id+"], if the function takes turns with these two"))
	}
	if len(s.cfg.Users) > 0 && !slices.Contains(s.cfg.Users, id) {
		return rota.Credential{}, rota.Sanitize(s.stop(op, fmt.Errorf("the function made a credential for %s, which isn't one of users", id), rota.Configure("users", "users: the two that the function takes turns with, as it spells them; one is "+id)), c)
	}
	return c, nil
}

// maxID is the longest id of a credential, in bytes: users of databases and directories
// have shorter names.
const maxID = 256

// showable reports whether an id can be in a log, a status and a file.
func showable(id string) bool {
	return len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Set implements [rota.Issuer]: it calls setSecret.
func (s *Credentials) Set(ctx context.Context, r rota.SetRequest) error {
	current := &r.Current
	if current.IsZero() {
		current = nil
	}
	return s.c.step(ctx, "set the credential of "+s.CredentialID(r.Credential), setSecret, s.entry("", current, &r.Credential), "", nil)
}

// Test implements [rota.Issuer]: it calls testSecret.
func (s *Credentials) Test(ctx context.Context, r rota.TestRequest) error {
	return s.c.step(ctx, "log in as "+s.CredentialID(r.Credential), testSecret, s.entry("", &r.Credential, &r.Credential), s.user(r.Credential), s.cfg.Refused)
}

// user is who logs in with a credential.
func (s *Credentials) user(c rota.Credential) string {
	return cmp.Or(c.Field(rota.FieldUsername), s.CredentialID(c))
}

// Delete implements [rota.Issuer]. Functions know no such step: where users take turns,
// the previous one gets a password that nobody keeps, as in the next rotation. A single
// user's previous password ended when the new one was set.
func (s *Credentials) Delete(ctx context.Context, r rota.RetireRequest) error {
	if len(s.cfg.Users) == 0 {
		return ctx.Err()
	}
	op := "replace the password of " + r.CredentialID
	if r.Current.IsZero() || s.CredentialID(r.Current) == r.CredentialID {
		return s.stop(op, fmt.Errorf("%w: it's the credential in use", rota.ErrConflict), nil)
	}
	c, err := s.create(ctx, op, "", r.Current)
	if err != nil {
		return err
	}
	if id := s.CredentialID(c); id != r.CredentialID {
		return rota.Sanitize(s.stop(op, fmt.Errorf("the function would replace the password of %s instead", id), rota.Outside("see how the function chooses the next user")), c)
	}
	return s.c.step(ctx, op, setSecret, s.entry("", &r.Current, &c), "", nil)
}

// entry is what the function sees in one step.
func (s *Credentials) entry(version string, current, pending *rota.Credential) *entry {
	if len(version) < 32 { // the least that AWS's SDKs take for a token
		version = randompassword.String(rand.Reader, randompassword.Alphanumeric, 36)
	}
	return &entry{
		arn: cmp.Or(s.arn, s.c.newARN(s.cfg.Name)), name: s.cfg.Name, token: version,
		current: current, pending: pending, others: s.cfg.Secrets, turn: s.turn,
	}
}

func (s *Credentials) stop(op string, err error, remedies []rota.Remedy) error {
	return &rota.Error{System: s.c.system(), Connection: s.c.name, Op: op, Class: rota.ClassStop, Err: err, Remedies: remedies}
}

// Preflight implements [rota.Preflighter]. Whether the function can do its work, the
// login with the current credential shows, which is its testSecret.
func (s *Credentials) Preflight(ctx context.Context) []rota.Finding {
	return []rota.Finding{s.c.listens(ctx), s.c.answers(ctx)}
}

// listens tries to stand in for Secrets Manager, with nothing to show.
func (c *Connection) listens(ctx context.Context) rota.Finding {
	check := "listen on " + c.cfg.Listen + " for the function's requests"
	if _, err := c.cfg.certificate(); err != nil {
		return provider.Failed(check, err)
	}
	hide, err := c.manager.show(ctx, &entry{})
	if err != nil {
		return provider.Failed(check, err)
	}
	hide()
	return provider.Found(check, "", nil)
}

// answers tries to reach what takes the Invoke call, without calling the function.
func (c *Connection) answers(ctx context.Context) rota.Finding {
	check := "reach the function"
	if c.cfg.ARN != "" {
		_, err := c.credentials(ctx)
		return provider.Found("find the AWS identity that calls the function", "", err)
	}
	u, err := parseURL(c.url, c.cfg.AllowPlaintext)
	if err != nil {
		return provider.Failed(check, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodOptions, u.Scheme+"://"+u.Host+"/", http.NoBody)
	if err != nil {
		return provider.Failed(check, err)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		failed := &rota.Error{System: c.system(), Connection: c.name, Op: check}
		provider.Unanswered(failed, err, "the function", net.JoinHostPort(u.Hostname(), u.Port()), "url")
		return provider.Failed(check, failed)
	}
	return provider.Found(check, "", resp.Body.Close())
}

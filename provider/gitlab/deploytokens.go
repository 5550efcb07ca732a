package gitlab

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// FieldUsername is the name that a deploy token logs in with.
const FieldUsername = rota.FieldUsername

// ciDeployToken is the name of the deploy token that GitLab gives to every job by
// itself.
const ciDeployToken = "gitlab-deploy-token"

// DeployTokens issues the deploy tokens that have one name in a project or group.
// Each rotation makes a second one, so the previous one stays valid meanwhile.
// GitLab doesn't record when a deploy token was last used.
type DeployTokens struct {
	Connection *Connection
	// Level is LevelProject or LevelGroup, and Owner its path or number.
	Level Level
	Owner string
	// TokenName is that of the tokens, by which they're told from others. GitLab shows
	// it with the version that the token was made for.
	TokenName string
	// Username is that of every token. "" leaves it to GitLab, which makes it from the
	// token's number.
	Username string
	Scopes   []string
	// ExpiresAfter is how long a token is valid. It ends at the beginning of its last
	// day. Defaults to [DefaultExpiry].
	ExpiresAfter time.Duration

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

var (
	_ rota.Issuer      = (*DeployTokens)(nil)
	_ rota.Lister      = (*DeployTokens)(nil)
	_ rota.Completer   = (*DeployTokens)(nil)
	_ rota.Preflighter = (*DeployTokens)(nil)
)

func deployTraits(expiresAfter time.Duration) rota.Traits {
	return rota.Traits{Kind: "GitLab deploy token", IssuerChooses: true, TestSuccesses: 2, ConsistencyDelay: 10 * time.Second, EndsAfter: cmp.Or(expiresAfter, DefaultExpiry)}
}

// Traits implements [rota.Issuer].
func (d *DeployTokens) Traits() rota.Traits { return deployTraits(d.ExpiresAfter) }

// CredentialID implements [rota.Issuer]: the token's number.
func (d *DeployTokens) CredentialID(c rota.Credential) string { return c.Field(FieldTokenID) }

func (d *DeployTokens) what() string {
	return "deploy token " + d.TokenName + " of " + string(d.Level) + " " + d.Owner
}

// givenName is the username that GitLab makes from a token's number.
var givenName = regexp.MustCompile(`^gitlab\+deploy-token-([0-9]+)$`)

// Complete implements [rota.Completer]: the username that GitLab makes has the
// token's number in it.
func (d *DeployTokens) Complete(c rota.Credential) rota.Credential {
	fields := c.Fields()
	if fields[FieldUsername] == "" && fields[FieldTokenID] != "" && fields[FieldToken] != "" {
		fields[FieldUsername] = "gitlab+deploy-token-" + fields[FieldTokenID]
		if d.Username != "" {
			fields[FieldUsername] = d.Username
		}
	}
	if m := givenName.FindStringSubmatch(fields[FieldUsername]); m != nil && fields[FieldTokenID] == "" {
		fields[FieldTokenID] = m[1]
	}
	return rota.NewCredential(fields)
}

// marked is the end of a token's name: a version's id, or what stands for one that a
// name can't show.
var marked = regexp.MustCompile(`^ \((?:((?:rota-)?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})|[A-Z2-7]{26})\)$`)

// Create implements [rota.Issuer]. GitLab doesn't say when a deploy token was made, so
// the version's id is in its name: should the answer be lost, the list tells whose it
// is.
func (d *DeployTokens) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	now, length := time.Now, cmp.Or(d.ExpiresAfter, DefaultExpiry)
	if d.Now != nil {
		now = d.Now
	}
	mark := " (" + r.Version + ")"
	if !marked.MatchString(mark) { // such as a request's own token
		mark = " (" + rand.Text() + ")"
	}
	made, err := d.create(ctx, d.TokenName+mark, now().UTC().Add(length).Truncate(rota.Day))
	if err != nil {
		return rota.Credential{}, err
	}
	if made.ID == 0 || made.Token == "" || made.Username == "" {
		return rota.Credential{}, d.Connection.fail("create "+d.what(), d.needs(), nil, errUnreadable)
	}
	return rota.NewCredential(map[string]string{FieldTokenID: strconv.FormatInt(made.ID, 10), FieldUsername: made.Username, FieldToken: made.Token}), nil
}

// Set implements [rota.Issuer]: a token is valid once it's created.
func (d *DeployTokens) Set(ctx context.Context, _ rota.SetRequest) error { return ctx.Err() }

// Test implements [rota.Issuer]. GitLab's registry login takes any deploy token, and
// then says what its scopes are good for; one that may read a project's repository is
// asked for that too.
func (d *DeployTokens) Test(ctx context.Context, r rota.TestRequest) error {
	return rota.Sanitize(d.test(ctx, r.Credential), r.Credential)
}

func (d *DeployTokens) test(ctx context.Context, c rota.Credential) error {
	id, username, value := d.CredentialID(c), c.Field(FieldUsername), c.Field(FieldToken)
	op := "log in with deploy token " + id
	if id == "" || username == "" || value == "" {
		return d.Connection.refuse(op, "give the token's number, username and value", errors.New("the credential isn't a deploy token"))
	}
	if err := d.Connection.logInToRegistry(ctx, op, username, value, d.may("read_registry", "write_registry")); err != nil {
		return err
	}
	if d.Level != LevelProject || !d.may("read_repository") {
		return nil
	}
	return d.Connection.readRepository(ctx, op, d.Owner, username, value)
}

// may reports whether the tokens have one of the scopes.
func (d *DeployTokens) may(scopes ...string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(d.Scopes, s) })
}

// isNamed reports whether a token has the issuer's name. One that a person made has no
// version in it.
func (d *DeployTokens) isNamed(name string) bool {
	end, ours := strings.CutPrefix(name, d.TokenName)
	return ours && (end == "" || marked.MatchString(end))
}

// Delete implements [rota.Issuer].
func (d *DeployTokens) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete " + d.what()
	id, err := strconv.ParseInt(r.CredentialID, 10, 64)
	if err != nil || id <= 0 {
		return &rota.Error{System: d.Connection.system(), Connection: d.Connection.name, Op: op, Class: rota.ClassStop, Err: fmt.Errorf("%q is no token's number: %w", r.CredentialID, rota.ErrNotFound)}
	}
	// Whoever changes the name in rota.yaml hides the tokens of the old one from the
	// list, and would have them taken for gone.
	if now, err := d.get(ctx, id); err == nil && !now.Revoked && !now.Expired && !d.isNamed(now.Name) {
		return d.Connection.refuse(op, "set name back to what the token is called, or delete it at GitLab once nobody uses it", fmt.Errorf("token %d is called %q", id, provider.Said(now.Name)))
	}
	removed := d.remove(ctx, id)
	if provider.StatusOf(removed) != 404 {
		return removed
	}
	list, err := d.list(ctx) // the project may be what can't be seen: the list knows
	for _, x := range list {
		if x.ID == id {
			return removed
		}
	}
	return err // nil: gone already, as it should be
}

// List implements [rota.Lister]: the valid tokens of that name.
func (d *DeployTokens) List(ctx context.Context) ([]rota.Issued, error) {
	list, err := d.list(ctx)
	var issued []rota.Issued
	for _, x := range list {
		if !d.isNamed(x.Name) || x.Revoked || x.Expired {
			continue
		}
		one := rota.Issued{ID: strconv.FormatInt(x.ID, 10), Active: true, ExpiresAt: at(x.ExpiresAt)}
		if mark := marked.FindStringSubmatch(strings.TrimPrefix(x.Name, d.TokenName)); mark != nil {
			one.Mark = mark[1]
		}
		issued = append(issued, one)
	}
	return issued, err
}

// Preflight implements [rota.Preflighter].
func (d *DeployTokens) Preflight(ctx context.Context) []rota.Finding {
	findings := d.Connection.preflightToken(ctx)
	_, err := d.list(ctx)
	return append(findings, provider.Found("list each "+d.what(), "", err))
}

func (d *DeployTokens) needs() need {
	if d.Level == LevelGroup {
		return needGroup
	}
	return needProject
}

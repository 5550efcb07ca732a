package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// The fields of a token's credential.
const (
	FieldTokenID = "token_id"
	FieldToken   = "token"
)

// TokenKind is a kind of GitLab's tokens.
type TokenKind string

// The kinds.
const (
	ProjectToken  TokenKind = "project access token"
	GroupToken    TokenKind = "group access token"
	PersonalToken TokenKind = "personal access token"
	TriggerToken  TokenKind = "pipeline trigger token"
)

// DefaultExpiry is within the year that GitLab allows.
const DefaultExpiry = 364 * rota.Day

// Tokens issues the tokens that have one name in a project or group, or of a user.
// Each rotation makes a second one, so the previous one stays valid meanwhile.
type Tokens struct {
	Connection *Connection
	Kind       TokenKind
	// Owner is the project's or group's path or number, or the user's number.
	Owner string
	// TokenName is that of the tokens, by which they're told from others.
	TokenName string
	Scopes    []string
	// Role is that of a project or group access token: "guest", "reporter",
	// "developer", "maintainer" or "owner".
	Role string
	// Rotated means that there's one token at a time, which GitLab's rotate endpoint
	// replaces: the previous one is revoked at once. Scopes and Role are then those of
	// the token that a person made. The connection's own token must be another one of
	// the same user, or of somebody who manages the project's, the group's or every
	// user's: it isn't revoked, so an answer that's lost locks nobody out for good.
	Rotated bool
	// ExpiresAfter is how long a token is valid. GitLab counts in days, and a token
	// ends at the beginning of its last one. Defaults to [DefaultExpiry].
	ExpiresAfter time.Duration

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

var (
	_ rota.Issuer      = (*Tokens)(nil)
	_ rota.Lister      = (*Tokens)(nil)
	_ rota.UseReporter = (*Tokens)(nil)
	_ rota.Preflighter = (*Tokens)(nil)
)

// traits are those of a kind. GitLab has no limit on tokens of the same name.
func (k TokenKind) traits(expiresAfter time.Duration) rota.Traits {
	t := rota.Traits{Kind: "GitLab " + string(k), IssuerChooses: true, TestSuccesses: 2, ConsistencyDelay: 10 * time.Second}
	if k != TriggerToken {
		t.EndsAfter = cmp.Or(expiresAfter, DefaultExpiry)
	}
	return t
}

// rotatedTraits are those of a token that's replaced by the next one.
func (k TokenKind) rotatedTraits(expiresAfter time.Duration) rota.Traits {
	traits := k.traits(expiresAfter)
	traits.Kind = "rotated " + traits.Kind
	traits.Limit, traits.Replaces = 1, true
	return traits
}

// Traits implements [rota.Issuer].
func (t *Tokens) Traits() rota.Traits {
	if t.Rotated {
		return t.Kind.rotatedTraits(t.ExpiresAfter)
	}
	return t.Kind.traits(t.ExpiresAfter)
}

// CredentialID implements [rota.Issuer]: the token's number.
func (t *Tokens) CredentialID(c rota.Credential) string { return c.Field(FieldTokenID) }

// errNoUser is about a user who isn't given by number.
var errNoUser = errors.New("its user isn't a number")

func (t *Tokens) what() string { return string(t.Kind) + " " + t.TokenName + " of " + t.Owner }

// token is a token as GitLab shows it. The value is shown at creation only.
type token struct {
	id            int64
	name, value   string
	active        bool
	created, used time.Time
	expires       time.Time
}

// Create implements [rota.Issuer]. It's never repeated here: whatever the answer
// was, the list shows what came of it.
func (t *Tokens) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	length := cmp.Or(t.ExpiresAfter, DefaultExpiry)
	expires := api.ISOTime(now().UTC().Add(length).Truncate(rota.Day))
	var made token
	var err error
	if t.Rotated {
		made, err = t.rotate(ctx, r.Replaces, expires)
	} else {
		made, err = t.create(ctx, expires)
	}
	if err != nil {
		return rota.Credential{}, err
	}
	if made.id == 0 || made.value == "" {
		return rota.Credential{}, t.Connection.fail("create "+t.what(), t.needs(), nil, errUnreadable)
	}
	return rota.NewCredential(map[string]string{FieldTokenID: strconv.FormatInt(made.id, 10), FieldToken: made.value}), nil
}

// Set implements [rota.Issuer]: a token is valid once it's created.
func (t *Tokens) Set(ctx context.Context, _ rota.SetRequest) error { return ctx.Err() }

// Test implements [rota.Issuer].
func (t *Tokens) Test(ctx context.Context, r rota.TestRequest) error {
	return rota.Sanitize(t.test(ctx, r.Credential), r.Credential)
}

func (t *Tokens) test(ctx context.Context, c rota.Credential) error {
	id, value := t.CredentialID(c), c.Field(FieldToken)
	op := "log in with " + string(t.Kind) + " " + id
	refused := func(err error) error {
		return &rota.Error{System: t.Connection.system(), Connection: t.Connection.name, Op: op, Class: rota.ClassWait, Err: err}
	}
	if value == "" || id == "" {
		return t.Connection.refuse(op, "give the token's number and value", errors.New("the credential isn't a token"))
	}
	if t.Kind == TriggerToken {
		return t.testTrigger(ctx, op, value)
	}
	client, err := t.Connection.as(value)
	if err != nil {
		return err
	}
	// Every token may look at itself, whatever its scopes.
	self, resp, err := client.PersonalAccessTokens.GetSinglePersonalAccessToken(with(ctx))
	if err := t.Connection.fail(op, t.needs(), resp, err); provider.StatusOf(err) == 401 {
		return refused(fmt.Errorf("GitLab doesn't know it, or it's expired or revoked: %w", rota.ErrRefused))
	} else if err != nil {
		return err
	}
	if strconv.FormatInt(self.ID, 10) != id {
		return t.Connection.refuse(op, "correct the token's number in the store", fmt.Errorf("it's the value of token %d", self.ID))
	}
	return nil
}

// testTrigger asks for a pipeline on a ref that no repository can have: GitLab finds
// out about the token first, and makes none.
func (t *Tokens) testTrigger(ctx context.Context, op, value string) error {
	ref := "refs/rota..no-such-ref"
	_, resp, err := t.Connection.api.PipelineTriggers.RunPipelineTrigger(t.Owner, &api.RunPipelineTriggerOptions{Ref: &ref, Token: &value}, with(ctx))
	switch err := t.Connection.fail(op, needPipeline, resp, err); {
	case err == nil:
		return t.Connection.refuse(op, "look at the project's latest pipeline", errors.New("GitLab made a pipeline for a ref that can't exist"))
	case provider.StatusOf(err) == 400:
		return nil // the token is good, and the ref isn't there
	case provider.StatusOf(err) == 404, provider.StatusOf(err) == 401:
		return &rota.Error{System: t.Connection.system(), Connection: t.Connection.name, Op: op, Class: rota.ClassWait, Err: rota.ErrRefused}
	default:
		return err
	}
}

// Delete implements [rota.Issuer].
func (t *Tokens) Delete(ctx context.Context, r rota.RetireRequest) error {
	id, err := t.number("revoke", r.CredentialID)
	if err != nil {
		return err
	}
	// Whoever changes the name in rota.yaml hides the tokens of the old one from the
	// list, and would have them taken for gone.
	if now, err := t.get(ctx, id); err == nil && now.active && now.name != t.TokenName {
		return t.Connection.refuse("revoke "+t.what(), "set name back to "+now.name+", or revoke the token at GitLab once nobody uses it", fmt.Errorf("token %d has another name", id))
	}
	err = t.revoke(ctx, id)
	if provider.StatusOf(err) == 404 { // or its project can't be seen: the list knows
		list, listErr := t.list(ctx)
		for _, x := range list {
			if x.id == id {
				return err
			}
		}
		return listErr // nil: gone already, as it should be
	}
	if provider.StatusOf(err) == 400 {
		if now, getErr := t.get(ctx, id); getErr == nil && !now.active {
			return nil
		}
	}
	return err
}

func (t *Tokens) number(verb, id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n <= 0 {
		return 0, &rota.Error{System: t.Connection.system(), Connection: t.Connection.name, Op: verb + " " + t.what(), Class: rota.ClassStop, Err: fmt.Errorf("%q is no token's number: %w", id, rota.ErrNotFound)}
	}
	return n, nil
}

// List implements [rota.Lister]: the valid tokens of that name.
func (t *Tokens) List(ctx context.Context) ([]rota.Issued, error) {
	list, err := t.list(ctx)
	var issued []rota.Issued
	for _, x := range list {
		if x.name == t.TokenName && x.active {
			issued = append(issued, rota.Issued{ID: strconv.FormatInt(x.id, 10), Active: true, CreatedAt: t.Connection.clock.Here(x.created), ExpiresAt: x.expires})
		}
	}
	return issued, err
}

// notesUseEvery is how long GitLab waits after it noted a use before it notes another.
const notesUseEvery = 10 * time.Minute

// LastUsed implements [rota.UseReporter].
func (t *Tokens) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	id, err := t.number("look at the use of", credentialID)
	if err != nil {
		return rota.Use{}, err
	}
	one, err := t.get(ctx, id)
	if err != nil {
		return rota.Use{}, err
	}
	return rota.Use{Evidence: rota.EvidenceRecorded, At: t.Connection.clock.LatestUse(one.used, notesUseEvery)}, nil
}

// Preflight implements [rota.Preflighter].
func (t *Tokens) Preflight(ctx context.Context) []rota.Finding {
	findings := t.Connection.preflightToken(ctx)
	list, err := t.list(ctx)
	findings = append(findings, provider.Found("list each "+t.what(), "", err))
	if t.Rotated && err == nil {
		findings = append(findings, t.preflightRotated(ctx, list))
	}
	return findings
}

func (t *Tokens) needs() need {
	switch t.Kind {
	case GroupToken:
		return needGroup
	case PersonalToken:
		if t.Rotated {
			return needUser
		}
		return needAdmin
	}
	return needProject
}

package parcel

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

// The fields of a token's credential.
const (
	FieldTokenID = "token_id"
	FieldToken   = "token"
)

// MaxTokens is how many tokens Parcel lets an account have.
const MaxTokens = 2

// needs is what the connection's login must be allowed.
const needs = "the role of an administrator"

// traits are what the planner goes by. Parcel chooses a token and answers it
// once, so Rota writes down an intent before it calls Create, and finds out
// with List what happened if the answer was lost.
func traits() rota.Traits {
	return rota.Traits{Kind: "Parcel token", IssuerChooses: true, Limit: MaxTokens, TestSuccesses: 2}
}

// Tokens issues the tokens of one account.
type Tokens struct {
	Connection *httpapi.Connection
	Account    string
}

// Interfaces beyond rota.Issuer are optional. Each that an issuer has makes
// rotations safer: Lister finds orphans and UseReporter keeps a token that is
// in use from being deactivated. Preflighter is for rota check.
var (
	_ rota.Issuer      = (*Tokens)(nil)
	_ rota.Lister      = (*Tokens)(nil)
	_ rota.UseReporter = (*Tokens)(nil)
	_ rota.Deactivator = (*Tokens)(nil)
	_ rota.Preflighter = (*Tokens)(nil)
)

// token is a token as Parcel lists it. Its value is answered at creation only.
type token struct {
	ID        string    `json:"id"`
	Value     string    `json:"value,omitempty"`
	Active    bool      `json:"active"`
	CreatedAt time.Time `json:"created_at"`
	UsedAt    time.Time `json:"used_at,omitzero"`
}

// Traits implements [rota.Issuer].
func (t *Tokens) Traits() rota.Traits { return traits() }

// CredentialID implements [rota.Issuer]: the id may be logged, the token not.
func (t *Tokens) CredentialID(c rota.Credential) string { return c.Field(FieldTokenID) }

// Create implements [rota.Issuer]. It's never retried here.
func (t *Tokens) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	op := "create a token of account " + t.Account
	var made token
	err := t.Connection.Do(ctx, httpapi.Request{Op: op, Method: http.MethodPost, Path: t.path(), Needs: needs}, &made)
	if errors.Is(err, rota.ErrConflict) {
		return rota.Credential{}, t.Connection.Refuse(op, "delete a token that nobody needs", rota.ErrLimit)
	}
	if err != nil {
		return rota.Credential{}, err
	}
	return rota.NewCredential(map[string]string{FieldTokenID: made.ID, FieldToken: made.Value}), nil
}

// Set implements [rota.Issuer]: a token is valid once it is created.
func (t *Tokens) Set(ctx context.Context, _ rota.SetRequest) error { return ctx.Err() }

// Test implements [rota.Issuer].
func (t *Tokens) Test(ctx context.Context, r rota.TestRequest) error {
	op := "log in with token " + t.CredentialID(r.Credential)
	// A refusal is worth another try: the token may not be known everywhere yet.
	return t.Connection.Do(ctx, httpapi.Request{Op: op, Method: http.MethodGet, Path: "/whoami", As: httpapi.Bearer(r.Credential.Field(FieldToken))}, nil)
}

// Delete implements [rota.Issuer]. Parcel itself refuses to delete an active
// token, with 409.
func (t *Tokens) Delete(ctx context.Context, r rota.RetireRequest) error {
	err := t.one(ctx, "delete", http.MethodDelete, r.CredentialID, nil)
	if errors.Is(err, rota.ErrNotFound) {
		return nil // gone already, as it should be
	}
	return err
}

// Deactivate implements [rota.Deactivator].
func (t *Tokens) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return t.one(ctx, "deactivate", http.MethodPatch, r.CredentialID, map[string]bool{"active": false})
}

// Reactivate implements [rota.Deactivator].
func (t *Tokens) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return t.one(ctx, "reactivate", http.MethodPatch, r.CredentialID, map[string]bool{"active": true})
}

func (t *Tokens) path(more ...string) string {
	return httpapi.Path(append([]string{"accounts", t.Account, "tokens"}, more...)...)
}

func (t *Tokens) one(ctx context.Context, verb, method, id string, body any) error {
	return t.Connection.Do(ctx, httpapi.Request{Op: verb + " token " + id, Method: method, Path: t.path(id), Body: body, Needs: needs}, nil)
}

func (t *Tokens) list(ctx context.Context) (list []token, err error) {
	err = t.Connection.Do(ctx, httpapi.Request{Op: "list the tokens of account " + t.Account, Method: http.MethodGet, Path: t.path(), Needs: needs}, &list)
	return list, err
}

// List implements [rota.Lister].
func (t *Tokens) List(ctx context.Context) ([]rota.Issued, error) {
	list, err := t.list(ctx)
	var issued []rota.Issued
	for _, x := range list {
		issued = append(issued, rota.Issued{ID: x.ID, Active: x.Active, CreatedAt: x.CreatedAt})
	}
	return issued, err
}

// LastUsed implements [rota.UseReporter]. Parcel records every use, so one look
// is proof enough.
func (t *Tokens) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	list, err := t.list(ctx)
	if err != nil {
		return rota.Use{}, err
	}
	at := slices.IndexFunc(list, func(x token) bool { return x.ID == credentialID })
	if at < 0 {
		return rota.Use{}, t.Connection.Refuse("look when token "+credentialID+" was used", "look at the account's tokens", rota.ErrNotFound)
	}
	return rota.Use{Evidence: rota.EvidenceRecorded, At: list[at].UsedAt}, nil
}

// Preflight implements [rota.Preflighter]: it changes nothing.
func (t *Tokens) Preflight(ctx context.Context) []rota.Finding {
	_, err := t.List(ctx)
	return []rota.Finding{provider.Found("list the tokens of account "+t.Account, "", err)}
}

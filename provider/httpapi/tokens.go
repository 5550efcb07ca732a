package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// The fields of a token's credential.
const (
	FieldTokenID = "token_id"
	FieldToken   = "token"
)

// Token is a token as its system shows it.
type Token struct {
	ID, Name string
	// Value is shown at creation only.
	Value string
	// Active tokens are let in.
	Active bool
	// Created and Expires are the system's times; zero if it doesn't say, and if the
	// token never expires.
	Created, Expires time.Time
	Used             LastUse
}

// LastUse is when a token was last used, as JSON has it: null for never, and missing if
// the system doesn't record it, which must not be taken for never.
type LastUse struct {
	At       time.Time // zero for never
	Recorded bool
}

// UnmarshalJSON implements [json.Unmarshaler].
func (u *LastUse) UnmarshalJSON(text []byte) error {
	u.Recorded = true
	return json.Unmarshal(text, &u.At)
}

// TokenAPI is how a system's tokens of one account are made, listed, tried and deleted.
// op is what for; errors are those of [Connection.Do].
type TokenAPI interface {
	// Create makes a token that's valid for so long. It's called once.
	Create(ctx context.Context, op, name string, life time.Duration) (Token, error)
	// List returns the account's tokens, whoever made them.
	List(ctx context.Context, op string) ([]Token, error)
	// LogIn logs in with a token's value. It returns the token's id, "" if the system
	// doesn't say.
	LogIn(ctx context.Context, op, value string) (id string, err error)
	// Delete deletes a token. [rota.ErrNotFound] is fine if it's gone.
	Delete(ctx context.Context, op, id string) error
}

// Tokens issues the tokens of one name in an account. Each rotation makes a second one, so the previous one stays valid meanwhile.
//
// If they can be switched off and on again, use [SwitchableTokens].
type Tokens struct {
	Connection *Connection
	API        TokenAPI
	// Names are what the tokens are called.
	Names Names
	// ExpiresAfter is how long a token is valid.
	ExpiresAfter time.Duration
	// Properties are the issuer's traits.
	Properties rota.Traits
	// NotesUseEvery is how long after a use the system may note no other. Defaults to 0:
	// it notes each.
	NotesUseEvery time.Duration

	switchable bool // so an active one isn't deleted
}

var (
	_ rota.Issuer      = (*Tokens)(nil)
	_ rota.Lister      = (*Tokens)(nil)
	_ rota.UseReporter = (*Tokens)(nil)
	_ rota.Preflighter = (*Tokens)(nil)
)

// What is a token for people, and for the op of an error.
func (t *Tokens) What() string { return t.Properties.Kind + " " + string(t.Names) }

// Traits implements [rota.Issuer].
func (t *Tokens) Traits() rota.Traits { return t.Properties }

// CredentialID implements [rota.Issuer]: the token's id.
func (t *Tokens) CredentialID(c rota.Credential) string { return c.Field(FieldTokenID) }

// Create implements [rota.Issuer].
func (t *Tokens) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	op := "create " + t.What()
	made, err := t.API.Create(ctx, op, t.Names.New(r.Version), t.ExpiresAfter)
	switch {
	case err != nil:
		return rota.Credential{}, err
	case made.ID == "" || made.Value == "":
		return rota.Credential{}, t.Connection.Unreadable(op)
	}
	return rota.NewCredential(map[string]string{FieldTokenID: made.ID, FieldToken: made.Value}), nil
}

// Set implements [rota.Issuer]: a token is valid once it's created.
func (t *Tokens) Set(ctx context.Context, _ rota.SetRequest) error { return ctx.Err() }

// Test implements [rota.Issuer].
func (t *Tokens) Test(ctx context.Context, r rota.TestRequest) error {
	id, value := t.CredentialID(r.Credential), r.Credential.Field(FieldToken)
	op := "log in with " + t.What() + ", id " + id
	if id == "" || value == "" {
		return t.Connection.Refuse(op, "give the token's id and value", errors.New("the credential isn't a token with its id"))
	}
	has, err := t.API.LogIn(ctx, op, value)
	if err == nil && has != "" && has != id {
		err = t.Connection.Refuse(op, "correct the token's id in the store", fmt.Errorf("it's the value of token %s", provider.Said(has)))
	}
	return rota.Sanitize(err, r.Credential)
}

// Delete implements [rota.Issuer].
func (t *Tokens) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete " + t.What()
	has, err := t.find(ctx, op, r.CredentialID)
	if isGone(err) {
		return nil // gone already, as it should be
	}
	if err != nil {
		return err
	}
	switch _, ours := t.Names.Has(has.Name); {
	case !ours: // the list doesn't show it, so it would be taken for gone
		return t.Connection.Refuse(op, "set name back to what the token is called, or delete it at "+t.Connection.system.Name+" once nobody uses it", fmt.Errorf("it's called %q", provider.Said(has.Name)))
	case t.switchable && has.Active:
		return t.Connection.Refuse(op, "let Rota deactivate it first", fmt.Errorf("it's active: %w", rota.ErrConflict))
	}
	err = t.API.Delete(ctx, op, r.CredentialID)
	if errors.Is(err, rota.ErrNotFound) { // a proxy may say so, too: the list knows
		if _, findErr := t.find(ctx, op, r.CredentialID); isGone(findErr) {
			return nil
		}
	}
	return err
}

// isGone reports whether find says that a token isn't in the list, and not that there's
// no list.
func isGone(err error) bool {
	return errors.Is(err, rota.ErrNotFound) && provider.StatusOf(err) == 0
}

func (t *Tokens) list(ctx context.Context, op string) ([]Token, error) {
	list, err := t.API.List(ctx, op)
	if errors.Is(err, ErrTooMany) {
		err = t.Connection.Refuse(op, "delete tokens that nobody needs: Rota has to see all of them", err)
	}
	return list, err
}

// find is the account's token with an id.
func (t *Tokens) find(ctx context.Context, op, id string) (Token, error) {
	list, err := t.list(ctx, op)
	if err != nil {
		return Token{}, err
	}
	i := slices.IndexFunc(list, func(x Token) bool { return x.ID == id && id != "" })
	if i < 0 {
		return Token{}, &rota.Error{System: t.Connection.System(), Connection: t.Connection.name, Op: op, Class: rota.ClassStop, Err: fmt.Errorf("there's no such token: %w", rota.ErrNotFound)}
	}
	return list[i], nil
}

// List implements [rota.Lister]: the tokens of these names that haven't expired.
func (t *Tokens) List(ctx context.Context) ([]rota.Issued, error) {
	list, err := t.list(ctx, "list each "+t.What())
	var issued []rota.Issued
	for _, x := range list {
		mark, ours := t.Names.Has(x.Name)
		expires := t.Connection.Here(x.Expires)
		if ours && (x.Expires.IsZero() || t.Connection.Now().Before(expires)) {
			issued = append(issued, rota.Issued{ID: x.ID, Active: x.Active, CreatedAt: t.Connection.Here(x.Created), ExpiresAt: expires, Mark: mark})
		}
	}
	return issued, err
}

// LastUsed implements [rota.UseReporter].
func (t *Tokens) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	has, err := t.find(ctx, "look at the use of "+t.What(), credentialID)
	if err != nil {
		return rota.Use{}, err
	}
	if !has.Used.Recorded {
		return rota.Use{Detail: "this " + t.Connection.system.Name + " doesn't show when a token was last used"}, nil
	}
	return rota.Use{Evidence: rota.EvidenceRecorded, At: t.Connection.clock.LatestUse(has.Used.At, t.NotesUseEvery)}, nil
}

// Preflight implements [rota.Preflighter]. Where everybody is let in, logging in proves
// nothing, so a wrong token is tried too.
func (t *Tokens) Preflight(ctx context.Context) []rota.Finding {
	_, err := t.List(ctx)
	findings := []rota.Finding{provider.Found("list each "+t.What(), "", err)}
	if err != nil {
		return findings
	}
	const check = "a wrong token is refused"
	switch _, err = t.API.LogIn(ctx, check, "rota-no-such-token"); {
	case err == nil:
		err = t.Connection.Refuse(check, "turn anonymous access off, or see what's in front of "+t.Connection.system.Name, errors.New("it was let in"))
	case errors.Is(err, rota.ErrRefused):
		err = nil
	}
	return append(findings, provider.Found(check, "", err))
}

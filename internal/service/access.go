package service

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/access"
)

// Access manages principals and keys. [LocalAccess] makes changes itself;
// [api.Client] asks a server to.
type Access interface {
	// Principals lists all of them with their keys, sorted by name.
	Principals(ctx context.Context) ([]api.Principal, error)
	// ChangeAccess creates, changes or removes one principal or key.
	ChangeAccess(ctx context.Context, c api.AccessChange) error
	// CreateKey creates another key for a principal; a zero time means it never expires.
	CreateKey(ctx context.Context, principal string, expires time.Time) (api.KeyDoc, error)
}

// LocalAccess is [Access] for one caller, with the store at hand.
type LocalAccess struct {
	Administration *access.Administration
	Caller         access.Caller
}

var (
	_ Access = LocalAccess{}
	_ Access = (*api.Client)(nil)
)

// Principals implements [Access].
func (l LocalAccess) Principals(ctx context.Context) ([]api.Principal, error) {
	list, err := l.Administration.Principals(ctx, l.Caller)
	return PrincipalDocs(list), err
}

// ChangeAccess implements [Access].
func (l LocalAccess) ChangeAccess(ctx context.Context, c api.AccessChange) error {
	a := l.Administration
	rules := make([]access.Rule, len(c.Rules))
	for i, r := range c.Rules {
		rules[i] = access.Rule{Action: access.Action(r.Action), Pattern: r.Pattern}
	}
	switch c.Action {
	case api.AccessCreatePrincipal:
		return a.Create(ctx, l.Caller, c.Name, rules...)
	case api.AccessGrant:
		return a.Grant(ctx, l.Caller, c.Name, rules...)
	case api.AccessRevoke:
		return a.Revoke(ctx, l.Caller, c.Name, rules...)
	case api.AccessDisablePrincipal:
		return a.Disable(ctx, l.Caller, c.Name)
	case api.AccessEnablePrincipal:
		return a.Enable(ctx, l.Caller, c.Name)
	case api.AccessDeletePrincipal:
		return a.Delete(ctx, l.Caller, c.Name)
	case api.AccessDisableKey:
		return a.DisableKey(ctx, l.Caller, c.Name)
	case api.AccessEnableKey:
		return a.EnableKey(ctx, l.Caller, c.Name)
	case api.AccessDeleteKey:
		return a.DeleteKey(ctx, l.Caller, c.Name)
	}
	return &UsageError{Err: fmt.Errorf("unknown access change %q", c.Action)}
}

// CreateKey implements [Access].
func (l LocalAccess) CreateKey(ctx context.Context, principal string, expires time.Time) (api.KeyDoc, error) {
	issued, err := l.Administration.CreateKey(ctx, l.Caller, principal, expires)
	if err != nil {
		return api.KeyDoc{}, err
	}
	return KeyDoc(issued), nil
}

// PrincipalDocs are the documents of principals.
func PrincipalDocs(list []access.Principal) []api.Principal {
	docs := make([]api.Principal, len(list))
	for i, p := range list {
		docs[i] = PrincipalDoc(p)
	}
	return docs
}

// PrincipalDoc is a principal's document.
func PrincipalDoc(p access.Principal) api.Principal {
	doc := api.Principal{Name: p.Name, Rules: make([]api.Rule, len(p.Rules)), Disabled: p.Disabled, CreatedAt: p.CreatedAt}
	for i, r := range p.Rules {
		doc.Rules[i] = api.Rule{Action: string(r.Action), Pattern: r.Pattern}
	}
	for _, k := range p.Keys {
		doc.Keys = append(doc.Keys, api.Key(k))
	}
	return doc
}

// KeyDoc is the document of a new key, with its secret.
func KeyDoc(i access.Issued) api.KeyDoc {
	return api.KeyDoc{Principal: i.Principal, Key: api.Key(i.Key), Secret: i.Secret.Reveal(), Token: i.Token()}
}

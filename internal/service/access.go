package service

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota/internal/access"
)

// Access is who may do what: the principals and keys of Rota's own.
type Access interface {
	// Principals lists all of them with their keys, in order of their names.
	Principals(ctx context.Context) ([]access.Principal, error)
	// ChangeAccess makes, changes or removes one principal or key.
	ChangeAccess(ctx context.Context, c AccessChange) error
	// CreateKey gives a principal one more key; a zero time is never.
	CreateKey(ctx context.Context, principal string, expires time.Time) (access.Issued, error)
}

// AccessAction is what is changed.
type AccessAction string

// The changes, of a principal or of a key.
const (
	CreatePrincipal  AccessAction = "create"
	Grant            AccessAction = "grant"
	Revoke           AccessAction = "revoke"
	DisablePrincipal AccessAction = "disable"
	EnablePrincipal  AccessAction = "enable"
	DeletePrincipal  AccessAction = "delete"
	DisableKey       AccessAction = "disable-key"
	EnableKey        AccessAction = "enable-key"
	DeleteKey        AccessAction = "delete-key"
)

// AccessChange is one change.
type AccessChange struct {
	Action AccessAction `json:"action"`
	// Name is the principal's, or for the last three the key's id.
	Name  string        `json:"name"`
	Rules []access.Rule `json:"rules,omitempty"` // of the first three
}

// LocalAccess is [Access] for one caller, with the store at hand.
type LocalAccess struct {
	Administration *access.Administration
	Caller         access.Caller
}

var _ Access = LocalAccess{}

// Principals implements [Access].
func (l LocalAccess) Principals(ctx context.Context) ([]access.Principal, error) {
	return l.Administration.Principals(ctx, l.Caller)
}

// ChangeAccess implements [Access].
func (l LocalAccess) ChangeAccess(ctx context.Context, c AccessChange) error {
	a := l.Administration
	switch c.Action {
	case CreatePrincipal:
		return a.Create(ctx, l.Caller, c.Name, c.Rules...)
	case Grant:
		return a.Grant(ctx, l.Caller, c.Name, c.Rules...)
	case Revoke:
		return a.Revoke(ctx, l.Caller, c.Name, c.Rules...)
	case DisablePrincipal:
		return a.Disable(ctx, l.Caller, c.Name)
	case EnablePrincipal:
		return a.Enable(ctx, l.Caller, c.Name)
	case DeletePrincipal:
		return a.Delete(ctx, l.Caller, c.Name)
	case DisableKey:
		return a.DisableKey(ctx, l.Caller, c.Name)
	case EnableKey:
		return a.EnableKey(ctx, l.Caller, c.Name)
	case DeleteKey:
		return a.DeleteKey(ctx, l.Caller, c.Name)
	}
	return &UsageError{Err: fmt.Errorf("no change of access %q", c.Action)}
}

// CreateKey implements [Access].
func (l LocalAccess) CreateKey(ctx context.Context, principal string, expires time.Time) (access.Issued, error) {
	return l.Administration.CreateKey(ctx, l.Caller, principal, expires)
}

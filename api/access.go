package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Principals lists all principals with their keys, sorted by name. For
// administrators, as all that follows.
func (c *Client) Principals(ctx context.Context) ([]Principal, error) {
	doc, err := get[PrincipalsDoc](ctx, c, path("access", "principals"), nil)
	return doc.Principals, err
}

// ChangeAccess creates, changes or removes one principal or key.
func (c *Client) ChangeAccess(ctx context.Context, change AccessChange) error {
	ctx, cancel := context.WithTimeout(ctx, c.ask)
	defer cancel()
	principal, key := path("access", "principals", change.Name), path("access", "keys", change.Name)
	method := http.MethodPost
	var address string
	var body any
	switch change.Action {
	case AccessCreatePrincipal, AccessGrant, AccessRevoke:
		rules := []string{}
		for _, r := range change.Rules {
			rules = append(rules, r.String())
		}
		body = map[string][]string{"rules": rules}
		if method, address = http.MethodPut, principal; change.Action != AccessCreatePrincipal {
			method, address = http.MethodPost, principal+"/"+string(change.Action)
		}
	case AccessDisablePrincipal, AccessEnablePrincipal:
		address = principal + "/" + string(change.Action)
	case AccessDeletePrincipal:
		method, address = http.MethodDelete, principal
	case AccessDisableKey, AccessEnableKey:
		address = key + "/" + strings.TrimSuffix(string(change.Action), "-key")
	case AccessDeleteKey:
		method, address = http.MethodDelete, key
	default:
		return fmt.Errorf("%w: no change of access %q", ErrUsage, change.Action)
	}
	return c.exchange(ctx, method, address, nil, body, nil)
}

// CreateKey gives a principal one more key. It stops working at expires; a
// zero time means never.
func (c *Client) CreateKey(ctx context.Context, principal string, expires time.Time) (KeyDoc, error) {
	body := struct {
		ExpiresAt time.Time `json:"expires_at,omitzero"`
	}{expires}
	return post[KeyDoc](ctx, c, path("access", "principals", principal, "keys"), nil, body)
}

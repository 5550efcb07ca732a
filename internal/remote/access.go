package remote

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/api"
	"github.com/rota-dev/rota/internal/service"
)

var _ service.Access = (*Client)(nil)

// Principals implements [service.Access].
func (c *Client) Principals(ctx context.Context) ([]access.Principal, error) {
	doc, err := get[api.PrincipalsDoc](ctx, c, path("access", "principals"), nil)
	return doc.Principals, err
}

// ChangeAccess implements [service.Access].
func (c *Client) ChangeAccess(ctx context.Context, change service.AccessChange) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	principal, key := path("access", "principals", change.Name), path("access", "keys", change.Name)
	method := http.MethodPost
	var address string
	var body any
	switch change.Action {
	case service.CreatePrincipal, service.Grant, service.Revoke:
		rules := []string{}
		for _, r := range change.Rules {
			rules = append(rules, r.String())
		}
		body = map[string][]string{"rules": rules}
		if method, address = http.MethodPut, principal; change.Action != service.CreatePrincipal {
			method, address = http.MethodPost, principal+"/"+string(change.Action)
		}
	case service.DisablePrincipal, service.EnablePrincipal:
		address = principal + "/" + string(change.Action)
	case service.DeletePrincipal:
		method, address = http.MethodDelete, principal
	case service.DisableKey, service.EnableKey:
		address = key + "/" + strings.TrimSuffix(string(change.Action), "-key")
	case service.DeleteKey:
		method, address = http.MethodDelete, key
	default:
		return &service.UsageError{Err: fmt.Errorf("no change of access %q", change.Action)}
	}
	return c.exchange(ctx, method, address, nil, body, nil)
}

// CreateKey implements [service.Access].
func (c *Client) CreateKey(ctx context.Context, principal string, expires time.Time) (access.Issued, error) {
	body := struct {
		ExpiresAt time.Time `json:"expires_at,omitzero"`
	}{expires}
	doc, err := post[api.KeyDoc](ctx, c, path("access", "principals", principal, "keys"), nil, body)
	if err != nil {
		return access.Issued{}, err
	}
	return access.Issued{Principal: doc.Principal, Key: doc.Key, Secret: access.NewSecret(doc.Secret)}, nil
}

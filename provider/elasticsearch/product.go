package elasticsearch

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

// Product is what a cluster runs.
type Product string

// The products.
const (
	Elasticsearch Product = "Elasticsearch"
	OpenSearch    Product = "OpenSearch"
)

// The least that Rota's user must be allowed.
const (
	needOwnKeys = "the cluster privilege manage_own_api_key"
	needTokens  = "a role with the cluster permission cluster:admin/plugins/security/api_token, which is also listed in plugins.security.restapi.roles_enabled"
)

const (
	pathKeys   = "/_security/api_key"
	pathTokens = "/_plugins/_security/api/apitokens" //nolint:gosec // a path
)

func (c *Connection) needs() string {
	if c.product == OpenSearch {
		return needTokens
	}
	return needOwnKeys
}

// apiKey is a key as a cluster shows it. The value is shown at creation only.
type apiKey struct {
	id, name, value  string
	created, expires time.Time // expires is zero if it never does
	off              bool
}

// create makes a key. It's never repeated here.
func (c *Connection) create(ctx context.Context, op, name string, k *APIKeys) (apiKey, error) {
	q := httpapi.Request{Op: op, Method: http.MethodPost, Path: pathKeys, Needs: c.needs()}
	if c.product == OpenSearch {
		body := map[string]any{"name": name, "cluster_permissions": k.ClusterPermissions, "index_permissions": k.IndexPermissions}
		if k.ExpiresAfter > 0 {
			body["duration_seconds"] = int64(k.ExpiresAfter / time.Second)
		}
		q.Path, q.Body = pathTokens, body
		var made struct{ ID, Token string }
		err := c.Do(ctx, q, &made)
		return apiKey{id: made.ID, value: made.Token}, err
	}
	body := map[string]any{"name": name}
	if k.RoleDescriptors != "" {
		body["role_descriptors"] = json.RawMessage(k.RoleDescriptors)
	}
	if k.ExpiresAfter > 0 {
		body["expiration"] = strconv.FormatInt(int64(k.ExpiresAfter/time.Second), 10) + "s"
	}
	q.Body = body
	var made struct {
		ID     string
		APIKey string `json:"api_key"`
	}
	err := c.Do(ctx, q, &made)
	return apiKey{id: made.ID, value: made.APIKey}, err
}

// list lists the keys whose name begins with one, and of OpenSearch all.
func (c *Connection) list(ctx context.Context, op, name string) ([]apiKey, error) {
	q := httpapi.Request{Op: op, Method: http.MethodGet, Path: pathKeys, Needs: c.needs()}
	if c.product == OpenSearch {
		q.Path = pathTokens
		var found []struct {
			ID, Name string
			Issued   millis `json:"iat"`
			Expires  millis `json:"expires_at"`
			Revoked  millis `json:"revoked_at"`
		}
		err := c.Do(ctx, q, &found)
		var keys []apiKey
		for _, f := range found {
			keys = append(keys, apiKey{id: f.ID, name: f.Name, created: f.Issued.time(), expires: f.Expires.time(), off: f.Revoked != 0})
		}
		return keys, err
	}
	q.Query = url.Values{"owner": {"true"}, "name": {name + "*"}}
	var found struct {
		Keys *[]struct {
			ID, Name    string
			Creation    millis
			Expiration  millis
			Invalidated bool
		} `json:"api_keys"`
	}
	err := c.Do(ctx, q, &found)
	if errors.Is(err, rota.ErrNotFound) && c.answers(ctx) {
		return nil, nil // as some releases say that there's none
	}
	if err != nil {
		return nil, err
	}
	if found.Keys == nil {
		return nil, c.Refuse(op, "check that the url of connection "+c.Name()+" leads to Elasticsearch", httpapi.ErrUnreadable)
	}
	var keys []apiKey
	for _, f := range *found.Keys {
		keys = append(keys, apiKey{id: f.ID, name: f.Name, created: f.Creation.time(), expires: f.Expiration.time(), off: f.Invalidated})
	}
	return keys, nil
}

// answers reports whether the cluster has API keys and knows Rota's login.
func (c *Connection) answers(ctx context.Context) bool {
	var me struct{ Username string }
	err := c.Do(ctx, httpapi.Request{Op: "log in", Method: http.MethodGet, Path: "/_security/_authenticate"}, &me)
	return err == nil && me.Username != ""
}

// millis is a time in milliseconds since 1970, 0 for none.
type millis int64

func (m millis) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}

// logIn logs in with a key.
func (c *Connection) logIn(ctx context.Context, op, id, value string) error {
	if c.product == OpenSearch {
		// A key may do nothing but what it was made for. Not being allowed to look at
		// the cluster shows as well that it's known.
		var r json.RawMessage
		err := c.Do(ctx, httpapi.Request{Op: op, Method: http.MethodGet, Path: "/", As: "ApiKey " + value}, &r)
		if provider.StatusOf(err) == http.StatusForbidden {
			return nil
		}
		return err
	}
	var me struct {
		Type string               `json:"authentication_type"`
		Key  *struct{ ID string } `json:"api_key"`
	}
	q := httpapi.Request{Op: op, Method: http.MethodGet, Path: "/_security/_authenticate", As: "ApiKey " + base64.StdEncoding.EncodeToString([]byte(id+":"+value))}
	if err := c.Do(ctx, q, &me); err != nil {
		return err
	}
	if me.Type != "api_key" || me.Key != nil && me.Key.ID != id {
		return c.Refuse(op, "check what's in front of the cluster: it logs in with something else", fmt.Errorf("it's logged in by %q", provider.Said(me.Type)))
	}
	return nil
}

// invalidate ends a key. One that's gone already is no error.
func (c *Connection) invalidate(ctx context.Context, op, id string) error {
	if c.product == OpenSearch {
		var done json.RawMessage
		err := c.Do(ctx, httpapi.Request{Op: op, Method: http.MethodDelete, Path: pathTokens + "/" + url.PathEscape(id), Needs: needTokens}, &done)
		if err == nil || rota.ClassOf(err) != rota.ClassStop {
			return err
		}
		// It may be gone: the list knows.
		keys, listErr := c.list(ctx, op, "")
		if listErr == nil && !slices.ContainsFunc(keys, func(k apiKey) bool { return k.id == id && !k.off }) {
			return nil
		}
		return err
	}
	var done struct {
		Now    []string          `json:"invalidated_api_keys"`
		Before []string          `json:"previously_invalidated_api_keys"`
		Errors []json.RawMessage `json:"error_details"`
	}
	err := c.Do(ctx, httpapi.Request{Op: op, Method: http.MethodDelete, Path: pathKeys, Body: map[string]any{"ids": []string{id}, "owner": true}, Needs: needOwnKeys}, &done)
	switch {
	case errors.Is(err, rota.ErrNotFound) && c.answers(ctx):
		return nil
	case err != nil:
		return err
	case slices.Contains(done.Now, id), slices.Contains(done.Before, id):
		return nil
	case len(done.Errors) > 0:
		return &rota.Error{System: c.System(), Connection: c.Name(), Op: op, Class: rota.ClassWait, Err: errors.New("a node couldn't do it: " + messageOf(slices.Concat([]byte(`{"error":`), done.Errors[0], []byte(`}`))))}
	}
	return c.gone(ctx, op, id)
}

// gone makes sure that a key that Rota's user doesn't have isn't another user's, such
// as the one that the connection had before: that one is still valid.
func (c *Connection) gone(ctx context.Context, op, id string) error {
	var found struct {
		Keys []struct {
			ID, Username string
			Invalidated  bool
		} `json:"api_keys"`
	}
	q := httpapi.Request{Op: op, Method: http.MethodGet, Path: pathKeys, Query: url.Values{"id": {id}}}
	err := c.Do(ctx, q, &found)
	switch {
	case errors.Is(err, rota.ErrNotFound) && c.answers(ctx):
		return nil
	case provider.StatusOf(err) == http.StatusForbidden:
		return c.Refuse(op, "give the user of connection "+c.Name()+" the cluster privilege read_security, so that Rota sees whose it is; or the user back that it had when the key was made",
			errors.New("no key of Rota's user has this id, and Rota may not see whether another user's has"))
	case err != nil:
		return err
	}
	for _, k := range found.Keys {
		if k.ID == id && !k.Invalidated {
			return c.Refuse(op, "invalidate it once nobody uses it, or give connection "+c.Name()+" the user back that made it", fmt.Errorf("the key is user %q's, and still valid", provider.Said(k.Username)))
		}
	}
	return nil
}

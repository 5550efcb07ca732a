package elasticsearch

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

// The fields of a key's credential.
const (
	FieldID     = "id"
	FieldAPIKey = "api_key" // for OpenSearch the token
	// FieldEncoded is what Elasticsearch's header takes: both, in base64.
	FieldEncoded = "encoded"
)

// IndexPermission is what a key of OpenSearch may do with some indexes.
type IndexPermission struct {
	Patterns []string `json:"index_pattern"`
	Actions  []string `json:"allowed_actions"`
}

// APIKeys issues the API keys of one name. Each rotation makes a second one, so the
// previous one stays valid meanwhile.
type APIKeys struct {
	Connection *Connection
	// KeyName is what the keys' names begin with; the version's id follows.
	KeyName string
	// ExpiresAfter is how long a key is valid. 0 leaves it to the cluster: keys of
	// Elasticsearch are valid until they're invalidated, those of OpenSearch as long
	// as its max_duration_seconds says.
	ExpiresAfter time.Duration
	// RoleDescriptors limit what a key of Elasticsearch may do, in JSON. "" is all
	// that Rota's user may.
	RoleDescriptors string
	// ClusterPermissions and IndexPermissions are what a key of OpenSearch may do.
	ClusterPermissions []string
	IndexPermissions   []IndexPermission
}

var (
	_ rota.Issuer      = (*APIKeys)(nil)
	_ rota.Lister      = (*APIKeys)(nil)
	_ rota.Completer   = (*APIKeys)(nil)
	_ rota.Preflighter = (*APIKeys)(nil)
)

func (p Product) traits(expiresAfter time.Duration) rota.Traits {
	// A list is read from an index, which is refreshed once a second.
	return rota.Traits{Kind: string(p) + " API key", IssuerChooses: true, ConsistencyDelay: 5 * time.Second, EndsAfter: expiresAfter}
}

// Traits implements [rota.Issuer].
func (k *APIKeys) Traits() rota.Traits { return k.Connection.product.traits(k.ExpiresAfter) }

// CredentialID implements [rota.Issuer]: the key's id.
func (k *APIKeys) CredentialID(c rota.Credential) string { return c.Field(FieldID) }

func (k *APIKeys) what() string { return "API key " + k.KeyName }

// credential is a key with its value.
func (p Product) credential(id, value string) rota.Credential {
	fields := map[string]string{FieldID: id, FieldAPIKey: value}
	if p == Elasticsearch {
		fields[FieldEncoded] = base64.StdEncoding.EncodeToString([]byte(id + ":" + value))
	}
	return rota.NewCredential(fields)
}

// Complete implements [rota.Completer]: id and value make the encoded key, and the
// other way round.
func (k *APIKeys) Complete(c rota.Credential) rota.Credential {
	if k.Connection.product != Elasticsearch {
		return c
	}
	fields := c.Fields()
	if text, err := base64.StdEncoding.DecodeString(fields[FieldEncoded]); err == nil {
		if id, value, both := strings.Cut(string(text), ":"); both && fields[FieldID] == "" && fields[FieldAPIKey] == "" {
			fields[FieldID], fields[FieldAPIKey] = id, value
		}
	}
	if fields[FieldEncoded] == "" && fields[FieldID] != "" && fields[FieldAPIKey] != "" {
		fields[FieldEncoded] = k.Connection.product.credential(fields[FieldID], fields[FieldAPIKey]).Field(FieldEncoded)
	}
	return rota.NewCredential(fields)
}

// Create implements [rota.Issuer]. The version's id is in the new key's name: should
// the answer be lost, the list tells whose it is.
func (k *APIKeys) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	if err := k.Connection.isUser(ctx, "create "+k.what()); err != nil {
		return rota.Credential{}, err
	}
	made, err := k.Connection.create(ctx, "create "+k.what(), k.names().New(r.Version), k)
	if err != nil {
		return rota.Credential{}, err
	}
	if made.id == "" || made.value == "" {
		return rota.Credential{}, k.Connection.Refuse("create "+k.what(), "check what's in front of the cluster", httpapi.ErrUnreadable)
	}
	return k.Connection.product.credential(made.id, made.value), nil
}

// Set implements [rota.Issuer]: a key is valid once it's created.
func (k *APIKeys) Set(ctx context.Context, _ rota.SetRequest) error { return ctx.Err() }

// Test implements [rota.Issuer].
func (k *APIKeys) Test(ctx context.Context, r rota.TestRequest) error {
	id, value := r.Credential.Field(FieldID), r.Credential.Field(FieldAPIKey)
	op := "log in with API key " + id
	if id == "" || value == "" {
		return k.Connection.Refuse(op, "give the key's id and value", errors.New("the credential isn't an API key"))
	}
	if encoded := r.Credential.Field(FieldEncoded); encoded != "" && encoded != k.Connection.product.credential(id, value).Field(FieldEncoded) {
		return &rota.Error{System: k.Connection.System(), Connection: k.Connection.Name(), Op: op, Class: rota.ClassWait, Err: fmt.Errorf("its encoded form is another key's: %w", rota.ErrRefused)}
	}
	return rota.Sanitize(k.Connection.logIn(ctx, op, id, value), r.Credential)
}

// Delete implements [rota.Issuer]: it invalidates the key. The cluster goes on showing
// it for a while.
func (k *APIKeys) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "invalidate API key " + r.CredentialID
	keys, err := k.Connection.list(ctx, op, "")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(x apiKey) bool {
		_, ours := k.names().Has(x.name)
		return x.id == r.CredentialID && !x.off && !ours
	})
	if i >= 0 { // the list doesn't show it, so it would be taken for gone
		return k.Connection.Refuse(op, "set name back to what the key is called, or invalidate it once nobody uses it", fmt.Errorf("it's called %q", provider.Said(keys[i].name)))
	}
	err = k.Connection.invalidate(ctx, op, r.CredentialID)
	if errors.Is(err, rota.ErrNotFound) { // what answers so isn't the cluster, so the key isn't gone
		return k.Connection.Refuse(op, "check that the url of connection "+k.Connection.Name()+" leads to the cluster", errors.New("what answers there knows no API keys"))
	}
	return err
}

func (k *APIKeys) names() httpapi.Names { return httpapi.Names(k.KeyName) }

// List implements [rota.Lister]: the valid keys of that name.
func (k *APIKeys) List(ctx context.Context) ([]rota.Issued, error) {
	keys, err := k.Connection.list(ctx, "list each "+k.what(), k.KeyName)
	if err != nil {
		return nil, err
	}
	var issued []rota.Issued
	for _, x := range keys {
		mark, ours := k.names().Has(x.name)
		if ours && !x.off && (x.expires.IsZero() || k.Connection.Now().Before(x.expires)) {
			issued = append(issued, rota.Issued{ID: x.id, Active: true, CreatedAt: x.created, ExpiresAt: x.expires, Mark: mark})
		}
	}
	return issued, nil
}

// Preflight implements [rota.Preflighter].
func (k *APIKeys) Preflight(ctx context.Context) []rota.Finding {
	c := k.Connection
	r, err := c.root(ctx)
	if err == nil && (r.Version.Distribution == "opensearch") != (c.product == OpenSearch) {
		other := map[Product]string{Elasticsearch: "opensearch_api_key, over a connection of the kind opensearch", OpenSearch: "elasticsearch_api_key, over a connection of the kind elasticsearch"}[c.product]
		err = c.Refuse("look at the cluster", "use "+other, fmt.Errorf("it isn't %s", c.product))
	}
	findings := []rota.Finding{provider.Found("log in to "+string(c.product), strings.TrimSpace(string(c.product)+" "+provider.Said(r.Version.Number)), err)}
	if err != nil {
		return findings
	}
	_, err = k.List(ctx)
	findings = append(findings, provider.Found("list each "+k.what(), "", err))
	if err != nil {
		return findings
	}
	if c.product == Elasticsearch {
		findings = append(findings, c.mayCreate(ctx))
		if k.RoleDescriptors != "" {
			findings = append(findings, c.mayGive(ctx, k.RoleDescriptors))
		}
	}
	return append(findings, c.refusesWrong(ctx))
}

// mayCreate is whether Rota's user may make keys that may do something.
func (c *Connection) mayCreate(ctx context.Context) rota.Finding {
	const check = "create and invalidate API keys"
	var has struct {
		All bool `json:"has_all_requested"`
	}
	err := c.isUser(ctx, check)
	if err == nil {
		err = c.Do(ctx, httpapi.Request{Op: check, Method: "POST", Path: "/_security/user/_has_privileges", Body: map[string]any{"cluster": []string{"manage_own_api_key"}}}, &has)
	}
	if err == nil && !has.All {
		err = c.Refuse(check, fmt.Sprintf("give the user of connection %s %s", c.Name(), needOwnKeys), errors.New("it isn't allowed"))
	}
	return provider.Found(check, "", err)
}

// isUser refuses to work if what logs in is an API key, such as one that a proxy adds.
// Elasticsearch lets a key make only keys without any privileges: each of them logs in,
// and its consumers can do nothing.
func (c *Connection) isUser(ctx context.Context, op string) error {
	if c.product != Elasticsearch {
		return nil
	}
	var me struct {
		Type string `json:"authentication_type"`
	}
	err := c.Do(ctx, httpapi.Request{Op: op, Method: "GET", Path: "/_security/_authenticate"}, &me)
	if err == nil && me.Type == "api_key" {
		err = c.Refuse(op, "log in with a user's name and password, and have nothing in between add a key", errors.New("the connection logs in with an API key, and a key that another key makes has no privileges"))
	}
	return err
}

// refusesWrong is whether a wrong key is refused. Where everybody is let in, logging in
// proves nothing.
func (c *Connection) refusesWrong(ctx context.Context) rota.Finding {
	const check = "a wrong key is refused"
	err := c.logIn(ctx, check, "rota-no-such-key", "none")
	switch {
	case err == nil:
		err = c.Refuse(check, "turn anonymous access off, or see what's in front of the cluster", errors.New("it was let in"))
	case errors.Is(err, rota.ErrRefused):
		err = nil
	}
	return provider.Found(check, "", err)
}

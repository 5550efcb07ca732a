package http

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// FieldID is the field of a credential that holds its id at the API.
const FieldID = "id"

// KeyConfig describes how an API issues keys.
type KeyConfig struct {
	// Create makes a key. Fields says where the answer has the credential's
	// fields; one of them is [FieldID].
	Create Request
	Fields map[string]string
	// List lists the keys that exist.
	List ListRequest
	// Test succeeds with a valid key alone. Its headers hold the key.
	Test Request
	// Delete deletes the key {id}. Deactivate and Reactivate switch it off and on;
	// both zero if the API can't.
	Delete, Deactivate, Reactivate Request
	// Limit is how many keys the API allows, 0 for any number.
	Limit int
	// TestSuccesses is how many tests in a row prove a key. Defaults to 3.
	TestSuccesses int
	// Settle is how long the list takes to show a change.
	Settle time.Duration
}

// ListRequest lists keys. All but Items, ID and Next are "" if the API doesn't say.
type ListRequest struct {
	Request
	// Items is where the answer has the list, "" if it is one. The others are
	// places in an item, Next again in the answer.
	Items, ID, Name, Created, Expires, Used string
	// Active is where an item says whether the key is on, and On what it says then.
	Active, On string
	// Next is where the answer has the next page's {cursor}.
	Next string
}

// key issues the keys of one API.
type key struct {
	c   *Connection
	cfg KeyConfig
}

var (
	_ rota.Issuer      = (*key)(nil)
	_ rota.Lister      = (*key)(nil)
	_ rota.Preflighter = (*key)(nil)
)

// Key returns the issuer. It reports use and deactivates keys only if the API does.
func (c *Connection) Key(cfg KeyConfig) rota.Issuer {
	k := &key{c: c, cfg: cfg}
	used, reversible := cfg.List.Used != "", cfg.Deactivate.Method != ""
	switch {
	case used && reversible:
		return &struct {
			*key
			reporter
			reverser
		}{k, reporter{k}, reverser{k}}
	case used:
		return &struct {
			*key
			reporter
		}{k, reporter{k}}
	case reversible:
		return &struct {
			*key
			reverser
		}{k, reverser{k}}
	}
	return k
}

// Traits implements [rota.Issuer].
func (k *key) Traits() rota.Traits {
	return rota.Traits{Kind: "API key", IssuerChooses: true, Limit: k.cfg.Limit, TestSuccesses: k.cfg.TestSuccesses, ConsistencyDelay: k.cfg.Settle}
}

// CredentialID implements [rota.Issuer].
func (k *key) CredentialID(c rota.Credential) string { return c.Field(FieldID) }

// Create implements [rota.Issuer]. It's sent once. The name of the new key is the
// version's id: should the answer be lost, the list tells whose it is.
func (k *key) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	const op = "create a key"
	if k.cfg.Limit > 0 && len(r.Taken) >= k.cfg.Limit {
		return rota.Credential{}, k.c.fail(op, rota.ClassStop, fmt.Errorf("%w: %d keys exist", rota.ErrLimit, len(r.Taken)), rota.Outside("delete a key that nobody uses"))
	}
	names := map[string]string{"name": mark(r)}
	sent := call{op: op, request: k.cfg.Create, public: names, values: names, own: true}
	answer, _, err := k.c.send(ctx, sent)
	if err != nil {
		return rota.Credential{}, err
	}
	fields := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(k.cfg.Fields)) {
		value, ok := textAt(answer, k.cfg.Fields[name])
		if !ok || value == "" {
			return rota.Credential{}, k.c.odd(sent, fmt.Sprintf("its answer has no text at %q, which should be the field %s", k.cfg.Fields[name], name))
		}
		fields[name] = value
	}
	return rota.NewCredential(fields), nil
}

// mark is the name of a new key.
func mark(r rota.CreateRequest) string {
	if r.Version == "" {
		return "rota"
	}
	return r.Version
}

// marked finds a version's id in a key's name.
var marked = regexp.MustCompile(`(?:rota-)?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`)

// Set implements [rota.Issuer]: a key is valid once it's created.
func (k *key) Set(ctx context.Context, _ rota.SetRequest) error { return ctx.Err() }

// Test implements [rota.Issuer]: it sends the test request, without the connection's
// own login.
func (k *key) Test(ctx context.Context, r rota.TestRequest) error {
	id := k.CredentialID(r.Credential)
	_, _, err := k.c.send(ctx, call{op: "log in with key " + id, request: k.cfg.Test,
		public: map[string]string{"id": id}, values: r.Credential.Fields(), secrets: k.secrets(r.Credential)})
	return err
}

// secrets are a credential's fields without its id.
func (k *key) secrets(c rota.Credential) rota.Credential {
	fields := c.Fields()
	delete(fields, FieldID)
	return rota.NewCredential(fields)
}

// Delete implements [rota.Issuer].
func (k *key) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete key " + r.CredentialID
	if k.cfg.Deactivate.Method != "" {
		i, there, err := k.find(ctx, r.CredentialID)
		if err != nil || !there {
			return err
		}
		if i.Active {
			return k.c.fail(op, rota.ClassStop, fmt.Errorf("%w: it's active", rota.ErrConflict), rota.Outside("deactivate it first"))
		}
	}
	err := k.one(ctx, op, k.cfg.Delete, r.CredentialID)
	if err == nil || !errors.Is(err, rota.ErrNotFound) {
		return err
	}
	return k.stays(ctx, op, "delete", r.CredentialID)
}

// stays is the error for a key that the API says it doesn't have, if it's still in the
// list: a wrong path is answered just so. It's never [rota.ErrNotFound], by which the
// key would count as gone.
func (k *key) stays(ctx context.Context, op, request, id string) error {
	_, there, err := k.find(ctx, id)
	if err == nil && there {
		return k.c.fail(op, rota.ClassStop, errors.New("it answered 404, but the list still has the key"), rota.Configure("", "the path of "+request+" as the API's documentation has it"))
	}
	return err
}

// one sends a request about one key.
func (k *key) one(ctx context.Context, op string, r Request, id string) error {
	names := map[string]string{"id": id}
	_, _, err := k.c.send(ctx, call{op: op, request: r, public: names, values: names, own: true})
	return err
}

// find is one key as the list has it.
func (k *key) find(ctx context.Context, id string) (rota.Issued, bool, error) {
	issued, err := k.listed(ctx)
	if errors.Is(err, rota.ErrNotFound) { // it's about the list, and says nothing about the key
		err = k.c.fail("list the keys", rota.ClassStop, errors.New(err.Error()), rota.RemediesOf(err))
	}
	at := slices.IndexFunc(issued, func(i rota.Issued) bool { return i.ID == id })
	if err != nil || at < 0 {
		return rota.Issued{}, false, err
	}
	return issued[at], true, nil
}

// List implements [rota.Lister].
func (k *key) List(ctx context.Context) ([]rota.Issued, error) {
	issued, err := k.listed(ctx)
	for i := range issued {
		issued[i].Use = rota.Use{}
	}
	return issued, err
}

// reporter reports use where the list has it.
type reporter struct{ k *key }

// LastUsed implements [rota.UseReporter].
func (r reporter) LastUsed(ctx context.Context, id string) (rota.Use, error) {
	i, there, err := r.k.find(ctx, id)
	if err != nil {
		return rota.Use{}, err
	}
	if !there {
		return rota.Use{}, r.k.c.fail("look when key "+id+" was used", rota.ClassStop, rota.ErrNotFound, rota.Outside("see whether the key was deleted by hand"))
	}
	return i.Use, nil
}

// reverser switches keys off and on.
type reverser struct{ k *key }

// Deactivate implements [rota.Deactivator].
func (r reverser) Deactivate(ctx context.Context, q rota.RetireRequest) error {
	op := "deactivate key " + q.CredentialID
	err := r.k.one(ctx, op, r.k.cfg.Deactivate, q.CredentialID)
	if errors.Is(err, rota.ErrNotFound) {
		if still := r.k.stays(ctx, op, "deactivate", q.CredentialID); still != nil {
			return still
		}
	}
	return err
}

// Reactivate implements [rota.Deactivator].
func (r reverser) Reactivate(ctx context.Context, q rota.RetireRequest) error {
	return r.k.one(ctx, "reactivate key "+q.CredentialID, r.k.cfg.Reactivate, q.CredentialID)
}

// Preflight implements [rota.Preflighter]: the list must be what rota.yaml says.
func (k *key) Preflight(ctx context.Context) []rota.Finding {
	f := rota.Finding{OK: true, Check: "list the keys at " + k.c.base.Host}
	issued, err := k.List(ctx)
	if err != nil {
		return []rota.Finding{provider.Failed(f.Check, err)}
	}
	f.Detail = strconv.Itoa(len(issued)) + " exist"
	return []rota.Finding{f}
}

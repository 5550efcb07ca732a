package http

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// requestConfig is a request. Its texts take no references: what is secret comes
// from the connection's headers, or from the credential by its fields' names.
type requestConfig struct {
	At      provider.Pos              `json:"-"`
	Method  provider.Plain            `json:"method,omitzero" enum:"GET,POST,PUT,PATCH,DELETE" default:"what fits: POST to create, GET to list and test, PUT to deliver, DELETE to delete" jsonschema:"The method."`
	Path    provider.Plain            `json:"path" jsonschema:"The path behind the connection's url, with its query. {id} stands for the key's id."`
	Headers map[string]provider.Plain `json:"headers,omitzero" jsonschema:"Headers. A field's name in braces stands for its value: Bearer {key}."`
	Body    provider.Plain            `json:"body,omitzero" jsonschema:"The JSON to send, in single quotes. A name in braces within one of its texts stands for its value."`
}

// createConfig is the request that creates a key.
type createConfig struct {
	requestConfig
	Fields map[string]provider.Plain `json:"fields" jsonschema:"Where the answer has each of the credential's fields, such as id: result.id. One of them is id."`
}

// listConfig is the request that lists keys.
type listConfig struct {
	requestConfig
	Items   provider.Plain `json:"items,omitzero" default:"the answer itself" jsonschema:"Where the answer has the list, such as result."`
	ID      provider.Plain `json:"id" jsonschema:"Where an item has the key's id."`
	Name    provider.Plain `json:"name,omitzero" jsonschema:"Where an item has the key's name: Rota recognizes what it created by it."`
	Created provider.Plain `json:"created,omitzero" jsonschema:"Where an item has the time at which the key was created."`
	Expires provider.Plain `json:"expires,omitzero" jsonschema:"Where an item has the time at which the key expires."`
	Used    provider.Plain `json:"used,omitzero" jsonschema:"Where an item has the time of the key's last use."`
	Active  provider.Plain `json:"active,omitzero" jsonschema:"Where an item says whether the key is on."`
	On      provider.Plain `json:"on,omitzero" default:"true" jsonschema:"What an item says there if the key is on."`
	Next    provider.Plain `json:"next,omitzero" jsonschema:"Where the answer has the next page's {cursor}, which is in the path."`
}

// keyConfig is an API's keys.
type keyConfig struct {
	At            provider.Pos      `json:"-"`
	Create        createConfig      `json:"create" jsonschema:"Creates a key. {name} is the name that Rota gives it."`
	List          listConfig        `json:"list" jsonschema:"Lists the keys. {page} in its path counts from 1; a Link header is followed."`
	Test          requestConfig     `json:"test" jsonschema:"Succeeds with a valid key alone. It's sent without the connection's headers."`
	Delete        requestConfig     `json:"delete" jsonschema:"Deletes the key {id}."`
	Deactivate    *requestConfig    `json:"deactivate,omitzero" jsonschema:"Switches the key {id} off."`
	Reactivate    *requestConfig    `json:"reactivate,omitzero" jsonschema:"Switches the key {id} on again."`
	Limit         provider.Int      `json:"limit,omitzero" min:"2" max:"1000" default:"no limit" jsonschema:"How many keys the API allows."`
	TestSuccesses provider.Int      `json:"test_successes,omitzero" min:"1" max:"20" default:"3" jsonschema:"How many tests in a row prove a new key."`
	Settle        provider.Duration `json:"settle,omitzero" default:"0s" jsonschema:"How long the list takes to show a change."`
}

func (c *requestConfig) request(method string) Request {
	r := Request{Method: c.Method.Text, Path: c.Path.Text, Headers: provider.PlainTexts(c.Headers), Body: c.Body.Text}
	if r.Method == "" {
		r.Method = method
	}
	return r
}

func (c *keyConfig) config() KeyConfig {
	cfg := KeyConfig{
		Create: c.Create.request("POST"), Fields: provider.PlainTexts(c.Create.Fields),
		List: ListRequest{Request: c.List.request("GET"), Items: c.List.Items.Text, ID: c.List.ID.Text, Name: c.List.Name.Text,
			Created: c.List.Created.Text, Expires: c.List.Expires.Text, Used: c.List.Used.Text, Active: c.List.Active.Text, On: c.List.On.Text, Next: c.List.Next.Text},
		Test: c.Test.request("GET"), Delete: c.Delete.request("DELETE"),
		Limit: c.Limit.Number, TestSuccesses: c.TestSuccesses.Number, Settle: c.Settle.Length,
	}
	if cfg.List.On == "" {
		cfg.List.On = "true"
	}
	if c.Deactivate != nil && c.Reactivate != nil {
		cfg.Deactivate, cfg.Reactivate = c.Deactivate.request("POST"), c.Reactivate.request("POST")
	}
	return cfg
}

// Traits implements [provider.IssuerConfig].
func (c *keyConfig) Traits() rota.Traits { return (&key{cfg: c.config()}).Traits() }

// Fields implements [provider.IssuerConfig].
func (c *keyConfig) Fields() provider.Fields {
	all := slices.Sorted(maps.Keys(c.Create.Fields))
	return provider.Fields{All: all, Login: all}
}

// Issuer implements [provider.IssuerConfig].
func (c *keyConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Key(c.config()), nil
}

// Claims implements [provider.Claimer]: the keys that a list shows are one secret's,
// or two secrets would take each other's for orphans.
func (c *keyConfig) Claims(k *provider.Known) []provider.Claim {
	path, _, _ := strings.Cut(c.List.Path.Text, "?")
	if path == "" {
		return nil
	}
	return []provider.Claim{{Kind: "list of keys", Name: strings.TrimSuffix(path, "/"), Connection: k.Connection, Shown: "list of keys " + path, At: c.List.Path.At}}
}

// Validate implements [provider.Validator].
func (c *keyConfig) Validate(v *provider.Validation) {
	fields := c.Fields().All
	secret := slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return f == FieldID })
	if len(c.Create.Fields) > 0 && (len(secret) == len(fields) || len(secret) == 0) {
		v.Problem(c.Create.At, "create", "fields: {id: id, key: key}", "fields needs id and at least one more")
	}
	c.Create.validate(v, "create", []string{"name"}, []string{"name"})
	c.List.validate(v, "list", []string{"page", "cursor"}, nil)
	c.Test.validate(v, "test", []string{FieldID}, fields)
	c.Delete.validate(v, "delete", []string{FieldID}, []string{FieldID})
	if !slices.ContainsFunc(secret, c.Test.mentions) && len(secret) > 0 {
		v.Problem(c.Test.At, "test", `headers: {Authorization: "Bearer {`+secret[0]+`}"}`, "it doesn't send the key, so it proves nothing")
	}
	if !c.Delete.mentions(FieldID) && c.Delete.Path.IsSet() {
		v.Problem(c.Delete.At, "delete", "/keys/{id}", "it doesn't say which key")
	}
	if (c.Deactivate == nil) != (c.Reactivate == nil) {
		v.Problem(c.At, "", "the other one, or neither", "deactivate and reactivate belong together")
	}
	for name, r := range map[string]*requestConfig{"deactivate": c.Deactivate, "reactivate": c.Reactivate} {
		if r == nil {
			continue
		}
		r.validate(v, name, []string{FieldID}, []string{FieldID})
		if !r.mentions(FieldID) {
			v.Problem(r.At, name, "/keys/{id}", "it doesn't say which key")
		}
		if !c.List.Active.IsSet() {
			v.Problem(c.List.At, "list", "active, such as active: status, and on: active", "it doesn't say which keys are on")
		}
	}
	if c.List.Next.IsSet() != strings.Contains(c.List.Path.Text, "{cursor}") {
		v.Problem(c.List.At, "list", "next: cursor, and {cursor} in its path", "next and {cursor} belong together")
	}
	named := c.List.Name.IsSet() && c.Create.mentions("name")
	if dated := c.List.Created.IsSet() && c.List.Used.IsSet(); !named && !dated {
		v.Problem(c.List.At, "list", `name: name, and {name} in the body of create`, "if the answer to create is lost, nothing tells which key is Rota's")
	}
}

// validate reports what's wrong with a request. public are the names for its path,
// known those for its headers and body.
func (c *requestConfig) validate(v *provider.Validation, key string, public, known []string) {
	if !c.Path.IsSet() {
		return // reported when it was read
	}
	if !strings.HasPrefix(c.Path.Text, "/") || strings.HasPrefix(c.Path.Text, "//") || strings.ContainsAny(c.Path.Text, " \\#") || strings.Contains(c.Path.Text, "..") {
		v.Problem(c.Path.At, key, "/keys", "a path that doesn't begin with one / and lead on from there")
	}
	if err := checkTemplate(c.Path.Text, public); err != nil {
		v.Error(c.Path.At, key, fmt.Errorf("path: %w, as a path holds nothing that's secret", err))
	}
	for name, h := range c.Headers {
		if err := checkTemplate(h.Text, known); err != nil {
			v.Error(h.At, key, fmt.Errorf("header %s: %w", name, err))
		}
		if !goodHeader(name, h.Text) {
			v.Problem(h.At, key, "letters, digits and - in its name, and one line", "header %s can't be sent", name)
		}
	}
	if !c.Body.IsSet() {
		return
	}
	d, err := parseDocument(c.Body.Text)
	if err == nil {
		err = d.check(known)
	}
	if err != nil {
		v.Error(c.Body.At, key, fmt.Errorf("body: %w", err))
	}
}

// mentions reports whether a request names something.
func (c *requestConfig) mentions(name string) bool {
	in := func(h provider.Plain) bool { return mentions(h.Text, name) }
	body, err := parseDocument(c.Body.Text)
	inBody := body.mentions(name) || err != nil && strings.Contains(c.Body.Text, name)
	return in(c.Path) || inBody || slices.ContainsFunc(slices.Collect(maps.Values(c.Headers)), in)
}

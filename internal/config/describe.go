package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// ProviderDescription describes a provider to people and programs: rota
// providers prints it, and the docs' tables are checked against it.
type ProviderDescription struct {
	Name    string            `json:"name"`
	System  string            `json:"system"`
	Page    string            `json:"-"` // under docs/providers, without the extension
	Kinds   []KindDescription `json:"kinds"`
	Example string            `json:"example,omitempty"` // a complete rota.yaml
}

// KindDescription describes one kind.
type KindDescription struct {
	Role       string             `json:"role"`
	Key        string             `json:"key"` // in rota.yaml
	Summary    string             `json:"summary"`
	Connection string             `json:"connection,omitempty"` // the kind of connection it goes with
	Issuer     *IssuerDescription `json:"issuer,omitempty"`     // issuers only
	Keys       []KeyDescription   `json:"keys"`                 // the keys of its configuration
	Example    string             `json:"example,omitempty"`    // the value of Key, in flow style
}

// IssuerDescription describes how an issuer behaves with the default
// configuration.
type IssuerDescription struct {
	Credential string   `json:"credential"`
	Fields     []string `json:"fields,omitempty"` // of each credential
	// Overlap means that the previous credential stays valid alongside the
	// current one; Limit is how many can exist at once, 0 for no limit.
	Overlap  bool   `json:"overlap"`
	Limit    int    `json:"limit,omitempty"`
	Lifetime string `json:"lifetime,omitempty"` // of credentials that expire on their own
	Manual   bool   `json:"manual,omitempty"`   // only a person can rotate it
	// Evidence is what it can report about use: recorded, sampled or none.
	Evidence string `json:"evidence"`
	// Reversible means that a deactivated credential can be reactivated. Undo
	// is what a rollback does.
	Reversible bool   `json:"reversible"`
	Undo       string `json:"undo"`
	// Varies says which of these depend on the configuration.
	Varies string `json:"varies,omitempty"`
}

// KeyDescription describes one key of a kind's configuration. A nested key is
// prefixed with its parent's and a dot. The key of a kind that is a single
// value is "".
type KeyDescription struct {
	Key         string   `json:"key"`
	Type        string   `json:"type"`
	Values      []string `json:"values,omitempty"` // the allowed texts
	Default     string   `json:"default,omitempty"`
	Required    bool     `json:"required"`
	Description string   `json:"description"`
}

// The roles, as named in descriptions.
const (
	RoleConnection = string(roleConnection)
	RoleIssuer     = string(roleIssuer)
	RoleStore      = string(roleStore)
	RoleCheck      = string(roleCheck)
	RoleTarget     = string(roleTarget)
	RoleReloader   = string(roleReloader)
	RoleNotifier   = "notifier"
	RoleArchive    = string(roleArchive)
)

// Describe returns all providers of the catalog, in order.
func (c *Catalog) Describe() []ProviderDescription {
	var all []ProviderDescription
	for _, p := range c.providers {
		all = append(all, c.describe(p))
	}
	return all
}

func (c *Catalog) describe(p provider.Provider) ProviderDescription {
	d := ProviderDescription{Name: p.Name, System: p.System, Page: p.Page(), Example: p.Example}
	add := func(role string, k provider.Kind, connection string, config any) *KindDescription {
		d.Kinds = append(d.Kinds, KindDescription{
			Role: role, Key: k.Key, Summary: k.Summary, Connection: connection, Example: k.Example, Keys: c.describeKeys(reflect.TypeOf(config).Elem()),
		})
		return &d.Kinds[len(d.Kinds)-1]
	}
	for _, k := range p.Connections {
		add(RoleConnection, k.Kind, "", k.New())
	}
	for _, k := range p.Issuers {
		config := k.New()
		add(RoleIssuer, k.Kind, k.Connection, config).Issuer = describeIssuer(k, config)
	}
	for _, k := range p.Stores {
		add(RoleStore, k.Kind, k.Connection, k.New())
	}
	for _, k := range p.Checks {
		add(RoleCheck, k.Kind, k.Connection, k.New())
	}
	for _, k := range p.Targets {
		add(RoleTarget, k.Kind, "", k.New())
	}
	for _, k := range p.Reloaders {
		add(RoleReloader, k.Kind, "", k.New())
	}
	for _, k := range p.Notifiers {
		add(RoleNotifier, k.Kind, "", k.New())
	}
	for _, k := range p.Archives {
		add(RoleArchive, k.Kind, "", k.New())
	}
	return d
}

func describeIssuer(k provider.Issuer, config provider.IssuerConfig) *IssuerDescription {
	t := config.Traits()
	d := &IssuerDescription{
		Credential: t.Kind, Fields: config.Fields().All, Overlap: t.Overlap(), Limit: t.Limit,
		Manual:   t.Manual,
		Evidence: string(k.Evidence), Reversible: k.Reversible, Undo: undo(t, k.Reversible), Varies: k.Varies,
	}
	if k.Evidence == rota.EvidenceUnknown {
		d.Evidence = "none"
	}
	if t.Lifetime > 0 {
		d.Lifetime = rota.FormatDuration(t.Lifetime)
	}
	return d
}

// undo says what a rollback does.
func undo(t rota.Traits, reversible bool) string {
	switch {
	case t.Manual:
		return "none"
	case t.Lifetime > 0:
		return "back to the previous one, until it expires"
	case reversible:
		return "reactivates the previous one, until it's deleted"
	case t.Overlap():
		return "back to the previous one, until it's deleted"
	case !t.IssuerChooses:
		return "sets the previous value again"
	}
	return "none"
}

// describeKeys returns the keys of a kind's struct, as in the schema.
func (c *Catalog) describeKeys(t reflect.Type) []KeyDescription {
	if leaf, ok := leafOf(t); ok {
		return []KeyDescription{{Type: typeName(leaf, ""), Required: true}}
	}
	keys := []KeyDescription{}
	for _, f := range c.fields(t) {
		k := KeyDescription{
			Key: f.key, Type: typeName(f.typ, f.tag), Required: f.required,
			Default: f.tag.Get("default"), Description: f.tag.Get("jsonschema"),
		}
		if values := f.tag.Get("enum"); values != "" {
			k.Values = strings.Split(values, ",")
		}
		keys = append(keys, k)
		if inner, ok := mappingOf(f.typ); ok {
			for _, nested := range c.describeKeys(inner) {
				nested.Key = f.key + "." + nested.Key
				keys = append(keys, nested)
			}
		}
	}
	return keys
}

// mappingOf returns the struct that a type is, or is a list or map of.
func mappingOf(t reflect.Type) (reflect.Type, bool) {
	if _, leaf := leafNames[t]; leaf {
		return nil, false
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return mappingOf(t.Elem())
	case reflect.Struct:
		return t, true
	}
	return nil, false
}

// leafNames are the human-readable names of the leaf types, singular and
// plural.
var leafNames = map[reflect.Type][2]string{
	reflect.TypeFor[Text]():                    {"text", "texts"},
	reflect.TypeFor[Plain]():                   {"plain text", "plain texts"},
	reflect.TypeFor[provider.ConnectionName](): {"connection", "connections"},
	reflect.TypeFor[Name]():                    {"secret", "secrets"},
	reflect.TypeFor[Duration]():                {"duration", "durations"},
	reflect.TypeFor[Int]():                     {"number", "numbers"},
	reflect.TypeFor[provider.Mode]():           {"file mode", "file modes"},
	reflect.TypeFor[Bool]():                    {"true or false", "true or false"},
}

// typeName returns a type's human-readable name, such as "list of texts".
func typeName(t reflect.Type, tag reflect.StructTag) string {
	if names, ok := leafNames[t]; ok {
		if kind := tag.Get("kind"); kind != "" {
			return kind + " " + names[0]
		}
		return names[0]
	}
	several := func() string {
		if names, ok := leafNames[t.Elem()]; ok {
			return names[1]
		}
		return "mappings"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem(), tag)
	case reflect.Slice:
		return "list of " + several()
	case reflect.Array:
		return fmt.Sprintf("list of %d %s", t.Len(), several())
	case reflect.Map:
		return "map of " + several()
	}
	return "mapping"
}

package config

import (
	"fmt"
	"slices"

	"github.com/rota-dev/rota/provider"
)

// Catalog holds the kinds that a file can name: those of all providers, in
// order. It's immutable and safe for concurrent use.
type Catalog struct {
	providers []provider.Provider
	kinds     map[role][]*kind
	own       []provider.OwnPath // what no target may write to
}

// role is where a kind can appear in the file.
type role string

const (
	roleConnection role = "connection" // notifiers appear among the connections
	roleIssuer     role = "issuer"
	roleStore      role = "store"
	roleCheck      role = "check"
	roleTarget     role = "target"
	roleReloader   role = "reloader"
	roleArchive    role = "archive"
)

// kind is one kind, in any role.
type kind struct {
	role role
	provider.Kind
	provider   string // the provider's name
	connection string // the kind of connection it needs, "" for none
	// of a connection: the key of the namespace in kinds that work over it, "" for none
	namespaceKey string
	make         func() any        // returns an empty configuration
	notifier     bool              // of a connection: it receives events, and nothing logs in with it
	needs        string            // of a check: what it tests
	platform     provider.Platform // of a target
}

// NewCatalog makes the catalog of these providers. It returns an error if two
// kinds with the same role have the same key, or two providers have the same
// name.
func NewCatalog(providers ...provider.Provider) (*Catalog, error) {
	c := &Catalog{providers: providers, kinds: map[role][]*kind{}}
	var err error
	names := map[string]bool{}
	for _, p := range providers {
		if p.Name == "" || names[p.Name] {
			return nil, fmt.Errorf("providers: two are called %q", p.Name)
		}
		names[p.Name] = true
	}
	add := func(in role, p provider.Provider, k kind) {
		k.role, k.provider = in, p.Name
		if slices.ContainsFunc(c.kinds[in], func(other *kind) bool { return other.Key == k.Key }) {
			err = fmt.Errorf("providers: %s: there is another %s %q", p.Name, in, k.Key)
		}
		c.kinds[in] = append(c.kinds[in], &k)
	}
	for _, p := range providers {
		for _, k := range p.Connections {
			add(roleConnection, p, kind{Kind: k.Kind, namespaceKey: k.NamespaceKey, make: func() any { return k.New() }})
		}
		for _, k := range p.Issuers {
			add(roleIssuer, p, kind{Kind: k.Kind, connection: k.Connection, make: func() any { return k.New() }})
		}
		for _, k := range p.Stores {
			add(roleStore, p, kind{Kind: k.Kind, connection: k.Connection, make: func() any { return k.New() }})
		}
		for _, k := range p.Checks {
			add(roleCheck, p, kind{Kind: k.Kind, connection: k.Connection, needs: k.Needs, make: func() any { return k.New() }})
		}
		for _, k := range p.Targets {
			add(roleTarget, p, kind{Kind: k.Kind, platform: k.Platform, make: func() any { return k.New() }})
		}
		for _, k := range p.Reloaders {
			add(roleReloader, p, kind{Kind: k.Kind, make: func() any { return k.New() }})
		}
		for _, k := range p.Archives {
			add(roleArchive, p, kind{Kind: k.Kind, make: func() any { return k.New() }})
		}
	}
	for _, p := range providers { // after the connections
		for _, k := range p.Notifiers {
			add(roleConnection, p, kind{Kind: k.Kind, notifier: true, make: func() any { return k.New() }})
		}
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// MustCatalog is NewCatalog for providers that are known not to conflict.
func MustCatalog(providers ...provider.Provider) *Catalog {
	c, err := NewCatalog(providers...)
	if err != nil {
		panic(err)
	}
	return c
}

// Providers returns the catalog's providers, in order.
func (c *Catalog) Providers() []provider.Provider { return slices.Clone(c.providers) }

// keys returns the keys of a role's kinds.
func (c *Catalog) keys(in role) []string {
	var keys []string
	for _, k := range c.kinds[in] {
		keys = append(keys, k.Key)
	}
	return keys
}

// notifiers returns the keys of the notifier kinds.
func (c *Catalog) notifiers() []string {
	var keys []string
	for _, k := range c.kinds[roleConnection] {
		if k.notifier {
			keys = append(keys, k.Key)
		}
	}
	return keys
}

// Choice is one of the kinds of a role, with its configuration. The field's
// kinds tag names the role.
type Choice struct {
	kind   *kind // nil if the file has none
	config any   // made by kind.make, filled from the file
	at     Pos   // of the kind's mapping
	path   Path
}

// Key returns the kind's key, or "" if there is none.
func (c *Choice) Key() string {
	if c.kind == nil {
		return ""
	}
	return c.kind.Key
}

// Config returns the kind's configuration, or nil if there is none.
func (c *Choice) Config() any { return c.config }

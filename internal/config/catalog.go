package config

import (
	"fmt"
	"slices"

	"github.com/rota-dev/rota/provider"
)

// Catalog is what a file can name: the kinds of all providers, in their order.
// It can't be changed and may be used from several goroutines.
type Catalog struct {
	providers []provider.Provider
	kinds     map[role][]*kind
}

// role is where in the file a kind stands.
type role string

const (
	roleConnection role = "connection" // notifiers stand among the connections
	roleIssuer     role = "issuer"
	roleStore      role = "store"
	roleCheck      role = "check"
	roleTarget     role = "target"
	roleReloader   role = "reloader"
	roleArchive    role = "archive"
)

// kind is one described kind, whatever its role.
type kind struct {
	role role
	provider.Kind
	provider   string            // the provider's name
	connection string            // the kind of connection that it needs beside it, "" for none
	make       func() any        // an empty configuration
	notifier   bool              // of a connection: it hears of events, and nothing logs in with it
	needs      string            // of a check: what it tests
	platform   provider.Platform // of a target
}

// NewCatalog is the catalog of these providers. It's an error where two kinds
// of one role have the same key, or two providers the same name.
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
			add(roleConnection, p, kind{Kind: k.Kind, make: func() any { return k.New() }})
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

// MustCatalog is NewCatalog for providers that are known to get on.
func MustCatalog(providers ...provider.Provider) *Catalog {
	c, err := NewCatalog(providers...)
	if err != nil {
		panic(err)
	}
	return c
}

// Providers are those of the catalog, in their order.
func (c *Catalog) Providers() []provider.Provider { return slices.Clone(c.providers) }

// keys are those of the kinds of a role.
func (c *Catalog) keys(in role) []string {
	var keys []string
	for _, k := range c.kinds[in] {
		keys = append(keys, k.Key)
	}
	return keys
}

// notifiers are the keys of the notifiers' kinds.
func (c *Catalog) notifiers() []string {
	var keys []string
	for _, k := range c.kinds[roleConnection] {
		if k.notifier {
			keys = append(keys, k.Key)
		}
	}
	return keys
}

// Choice is one of the kinds of a role, with its configuration. The tag kinds
// of a field says which role's.
type Choice struct {
	kind   *kind // nil where the file gives none
	config any   // what kind.make made, filled from the file
	at     Pos   // of the kind's mapping
	path   Path
}

// Key is the kind's key, "" for none.
func (c *Choice) Key() string {
	if c.kind == nil {
		return ""
	}
	return c.kind.Key
}

// Config is the kind's configuration; nil for none.
func (c *Choice) Config() any { return c.config }

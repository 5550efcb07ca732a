package config

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/rota-dev/rota/provider"
)

// defaultMaxPerNamespace keeps one namespace from filling Rota's store, and from being
// most of what every change has to be validated with.
const defaultMaxPerNamespace = 1000

// Controller limits what the users of a cluster's namespaces may do.
type Controller struct {
	At              Pos                `json:"-"`
	MaxPerNamespace Int                `json:"max_per_namespace,omitzero" min:"1" max:"100000" jsonschema:"How many RotatingSecrets a namespace may have, and how many Connections. Defaults to 1000."`
	Networks        []Plain            `json:"networks,omitzero" jsonschema:"The private networks that Connections of namespaces may reach, such as 10.20.0.0/16. By default they reach public addresses alone."`
	ConnectionKinds map[string][]Plain `json:"connection_kinds,omitzero" jsonschema:"The namespaces that may have Connections of a kind that's otherwise refused, by the kind. The namespace * stands for all of them."`
}

// allows reports whether a namespace may have connections of a kind that could use the
// machine or the identity of Rota.
func (c Controller) allows(kind, namespace string) bool {
	return slices.ContainsFunc(c.ConnectionKinds[kind], func(p Plain) bool { return p.Text == namespace || p.Text == "*" })
}

// everything are the kinds that run programs where Rota runs, as Rota: whoever may name
// one has all of Rota's secrets.
var everything = map[string]bool{"command": true}

func (v *validator) controller() {
	c, path := v.doc.Controller, Path{"controller"}
	for _, n := range c.Networks {
		if p, err := netip.ParsePrefix(n.Text); n.Text != "" && (err != nil || p != p.Masked()) {
			v.add(n.At, path.Key("networks"), "10.20.0.0/16, or 10.20.0.7/32 for one address", "%q is no network", n.Text)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.ConnectionKinds)) {
		at := c.At
		if list := c.ConnectionKinds[key]; len(list) > 0 {
			at = list[0].At
		}
		i := slices.IndexFunc(v.catalog.kinds[roleConnection], func(k *kind) bool { return k.Key == key })
		switch in := path.Key("connection_kinds"); {
		case i < 0:
			v.suggest(at, in, suggest(key, v.catalog.keys(roleConnection)), "no kind of connection %s", showKey(key))
		case everything[key]:
			v.add(at, in, "", "%s runs programs as Rota, so it can't be left to a namespace", key)
		case v.catalog.kinds[roleConnection][i].Remote:
			v.add(at, in, "leave it out", "every namespace may have connections of kind %s", key)
		}
	}
}

// limitResources refuses what's more than a namespace may have. The resources come in
// the order in which they were accepted, so that new ones don't displace others.
func (d *decoder) limitResources(c Controller, resources []*Resource) {
	limit := cmp.Or(c.MaxPerNamespace.Number, defaultMaxPerNamespace)
	type group struct {
		kind      ResourceKind
		namespace string
	}
	have := map[group]int{}
	for _, r := range resources {
		if r.Namespace == "" {
			continue
		}
		g := group{r.Kind, r.Namespace}
		if have[g]++; have[g] > limit {
			d.add(Pos{File: r.ID(), Line: 1, Column: 1}, nil, "delete some, or have controller.max_per_namespace in rota.yaml raised", "the namespace %s has more than %d %ss", r.Namespace, limit, r.Kind)
		}
	}
}

// reach is what a connection may reach: nil, which is everything, unless it's a
// namespace's own.
func (f *File) reach(connection string) provider.Reach {
	c := f.Document.Connections[connection]
	if c == nil {
		return nil
	}
	if r := f.resources[c.At.File]; r == nil || r.Kind != NamespacedLogin {
		return nil
	}
	var networks []netip.Prefix
	for _, n := range f.Document.Controller.Networks {
		networks = append(networks, netip.MustParsePrefix(n.Text)) // validated with the file
	}
	return provider.ReachOnly(networks...)
}

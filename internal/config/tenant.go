package config

import (
	"reflect"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// tenant gives the names of a resource the meaning that they have in its namespace, and
// refuses what its namespace's users may not do. Whoever may create a resource in a
// namespace need not be trusted with the machine that Rota runs on, with the logins that
// Rota has, or with other namespaces. So what isn't known to be harmless is refused.
//
// A ClusterConnection is made by the cluster's administrators, who may do all of this.
type tenant struct {
	*decoder
	document *Document
	resource *Resource
	secrets  map[string]bool // the names of the secrets that are resources
}

func (t *tenant) trusted() bool { return t.resource.Namespace == "" }

// check goes through the one secret or connection of a resource.
func (t *tenant) check(p Part) {
	for _, c := range p.Connections {
		if c == nil {
			continue
		}
		path := Path{"connections", t.resource.Key()}
		t.scope(&c.Kind)
		if k := c.Kind.kind; k != nil && !t.trusted() {
			if !k.Remote && !t.document.Controller.allows(k.Key, t.resource.Namespace) {
				t.add(c.Kind.at, path, "a ClusterConnection that grants it to this namespace, or controller.connection_kinds in rota.yaml", "a namespace's own connection can't be of kind %s, which may use the machine or the identity of Rota itself", k.Key)
			}
			t.host(c.Kind.config, path.Key(k.Key))
		}
	}
	for _, s := range p.Secrets {
		if s != nil {
			t.secret(s)
		}
	}
	t.texts(p)
}

func (t *tenant) secret(s *Secret) {
	path := s.path()
	t.plain(&s.Issuer.Connection, path.Key("issuer").Key("connection"))
	if s.Store != nil {
		t.plain(&s.Store.Connection, path.Key("store").Key("connection"))
	}
	for i := range s.Notify {
		t.plain(&s.Notify[i].Parts.Connection, path.Key("notify"))
	}
	for _, p := range s.pieces() {
		over := p.kind.connection != "" || len(connectionsOf(p.config)) > 0
		t.scope(p.Choice)
		t.host(p.config, p.path)
		if !over && !p.kind.Remote {
			t.add(p.at, p.path, "a kind that works over a connection", "%s uses the machine that Rota runs on, which a RotatingSecret can't", p.kind.Key)
		}
		for _, name := range p.connections() {
			t.namespace(p, name)
		}
	}
	if s.Policy != nil {
		for _, a := range s.Policy.ApartFrom {
			if a != nil && a.Secret.Text != "" {
				t.sibling(a.Secret.At, path.Key("policy").Key("apart_from"), a.Secret.Text)
			}
		}
	}
}

// sibling refuses the names of secrets that aren't RotatingSecrets of the namespace.
func (t *tenant) sibling(at Pos, path Path, name string) {
	if t.trusted() || strings.HasPrefix(name, t.resource.Namespace+"/") && t.secrets[name] {
		return
	}
	t.add(at, path, t.resource.Namespace+"/NAME", "%q is no RotatingSecret of this namespace", name)
}

// texts looks at all references.
func (t *tenant) texts(part Part) {
	for _, text := range textsOf(part) {
		for _, ref := range text.References() {
			namespace, _, found := strings.Cut(ref.Name, "/")
			switch ref.Kind {
			case provider.RefSecret:
				t.sibling(text.At, text.Path, ref.Name)
			case provider.RefKubernetes:
				if t.trusted() && !found {
					t.add(text.At, text.Path, "${kubernetes:NAMESPACE/NAME#KEY}", "a ClusterConnection has no namespace of its own")
				}
				if !t.trusted() && found && namespace != t.resource.Namespace {
					t.add(text.At, text.Path, "a Secret of this namespace", "%s is in another namespace", ref)
				}
			case provider.RefEnv, provider.RefFile:
				if !t.trusted() {
					t.add(text.At, text.Path, "${kubernetes:NAME#KEY}, for a Secret of this namespace", "%s would be read where Rota runs", ref)
				}
			}
		}
	}
}

// scope replaces the connections that a configuration names by those that the
// resource's namespace has.
func (t *tenant) scope(c *Choice) {
	if c.kind == nil {
		return
	}
	eachField(reflect.ValueOf(c.config), "", func(v reflect.Value, _ reflect.StructTag) {
		if name, ok := v.Addr().Interface().(*provider.ConnectionName); ok && name.Text != "" {
			name.Text = t.resolve(name.At, name.Path, name.Text)
		}
	})
}

func (t *tenant) plain(p *Plain, path Path) {
	if p.Text != "" {
		p.Text = t.resolve(p.At, path, p.Text)
	}
}

// resolve returns the connection that a name means: one of the namespace itself, or else
// a ClusterConnection that's granted to it; "" if there's none, which is reported.
func (t *tenant) resolve(at Pos, path Path, name string) string {
	if !t.trusted() {
		if key := t.resource.Namespace + "/" + name; t.document.Connections[key] != nil {
			return key
		}
	}
	key := string(ClusterConnection) + "/" + name
	id := (&Resource{Kind: ClusterConnection, Name: name}).ID()
	shared := t.resources[id]
	switch {
	case t.document.Connections[key] == nil || shared == nil || strings.Contains(name, "/"):
	case t.trusted() || shared.Grants != nil && shared.Grants(t.resource.Namespace):
		return key
	}
	if t.trusted() {
		t.add(at, path, "", "no ClusterConnection %q", name)
	} else { // whether there's one for others is nobody's business here
		t.add(at, path, "a Connection in this namespace, or a ClusterConnection with it among its namespaces", "no connection %q is granted to the namespace %s", name, t.resource.Namespace)
	}
	return ""
}

// host refuses settings that reach the machine that Rota runs on.
func (t *tenant) host(config any, path Path) {
	if config == nil || t.trusted() {
		return
	}
	eachField(reflect.ValueOf(config), "", func(v reflect.Value, tag reflect.StructTag) {
		key, _, _ := strings.Cut(tag.Get("json"), ",")
		refuse := func(at Pos) {
			t.add(at, path.Key(key), "a ClusterConnection, or leave it out", "it reaches the machine that Rota runs on")
		}
		switch kind := tag.Get("host"); leaf := v.Addr().Interface().(type) {
		case *Text:
			text, literal := leaf.Literal()
			if kind == "true" && leaf.IsSet() || kind == "path" && leaf.IsSet() && (!literal || strings.HasPrefix(text, "/") || strings.HasPrefix(text, "@")) {
				refuse(leaf.At)
			}
		case *Plain:
			if kind != "" && leaf.IsSet() && (kind == "true" || strings.HasPrefix(leaf.Text, "/")) {
				refuse(leaf.At)
			}
		case *Bool:
			if kind != "" && leaf.Yes {
				refuse(leaf.At)
			}
		}
	})
}

// namespace refuses to reach other namespaces of a cluster than the resource's own.
func (t *tenant) namespace(p piece, connection string) {
	c := t.document.Connections[connection]
	if c == nil || c.Kind.kind == nil || c.Kind.kind.namespaceKey == "" {
		return
	}
	key, found := c.Kind.kind.namespaceKey, false
	eachField(reflect.ValueOf(p.config), "", func(v reflect.Value, tag reflect.StructTag) {
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		if leaf, ok := v.Addr().Interface().(*Plain); ok && name == key {
			if found = true; leaf.Text != t.resource.Namespace {
				t.add(leaf.At, p.path.Key(key), t.resource.Namespace, "a RotatingSecret reaches its own namespace alone")
			}
		}
	})
	if !found {
		t.add(p.at, p.path, "", "%s reaches more than one namespace, which a RotatingSecret can't", p.kind.Key)
	}
}

// eachField visits the leaves of a configuration, addressable and with the tag of the
// field that they're in.
func eachField(v reflect.Value, tag reflect.StructTag, visit func(v reflect.Value, tag reflect.StructTag)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachField(v.Elem(), tag, visit)
		}
	case reflect.Struct:
		if _, leaf := leafSchemas()[v.Type()]; leaf {
			visit(v, tag)
			return
		}
		for _, f := range reflect.VisibleFields(v.Type()) {
			if len(f.Index) == 1 && (f.IsExported() || f.Anonymous) {
				inner := f.Tag
				if f.Anonymous && inner == "" {
					inner = tag
				}
				eachField(v.FieldByIndex(f.Index), inner, visit)
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			copied := reflect.New(v.Type().Elem()).Elem() // a map's elements have no address
			copied.Set(v.MapIndex(key))
			eachField(copied, tag, visit)
			v.SetMapIndex(key, copied)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			eachField(v.Index(i), tag, visit)
		}
	}
}

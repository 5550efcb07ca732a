package config

import (
	"reflect"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
)

// Notice is a connection that receives events: just its name, or also which
// events.
type Notice struct {
	At    Pos
	Parts NoticeParts
}

// NoticeParts say who receives which events.
type NoticeParts struct {
	At         Pos      `json:"-"`
	Connection Plain    `json:"connection" jsonschema:"The connection to notify."`
	Events     []Plain  `json:"events,omitzero" enum:"rotated,adopted,deactivated,deleted,discarded,held,failed,quarantined,recovered,rolled back,late,expiring soon,reminder" jsonschema:"Only these events. Defaults to all."`
	Secrets    []Plain  `json:"secrets,omitzero" jsonschema:"Only secrets whose names match one of these patterns; * stands for any characters. Defaults to all."`
	Digest     Duration `json:"digest,omitzero" jsonschema:"Collects events for this long and sends them in one message, such as 24h."`
}

func (x *Notice) read(d *decoder, n *yaml.Node, path Path, tag reflect.StructTag) {
	x.At = d.at(n)
	if n.Kind != yaml.ScalarNode {
		d.value(n, reflect.ValueOf(&x.Parts).Elem(), path, "")
		return
	}
	x.Parts.Connection.Read(d.node(n, path, tag))
}

// concerns reports whether the notice covers a secret's events.
func (x *Notice) concerns(secret string) bool {
	if len(x.Parts.Secrets) == 0 {
		return true
	}
	for _, p := range x.Parts.Secrets {
		if access.Match(p.Text, secret) {
			return true
		}
	}
	return false
}

func (x *Notice) kinds() []rota.EventKind {
	var kinds []rota.EventKind
	for _, e := range x.Parts.Events {
		kinds = append(kinds, rota.EventKind(e.Text))
	}
	return kinds
}

// notices returns the notices that cover a secret.
func (d *Document) notices(s *Secret) []Notice {
	all := d.Defaults.Notify
	if s.Notify != nil {
		all = s.Notify
	}
	var out []Notice
	for _, x := range all {
		if x.concerns(s.Name.Text) {
			out = append(out, x)
		}
	}
	return out
}

// notify validates who receives which events.
func (v *validator) notify(all []Notice, path Path) {
	seen := map[string]bool{}
	for _, x := range all {
		p := x.Parts
		name := p.Connection.Text
		if len(p.Events)+len(p.Secrets) == 0 && !p.Digest.IsSet() {
			if seen[name] && name != "" {
				v.add(x.At, path, "", "%q is there twice", name)
			}
			seen[name] = true
		}
		v.reference(p.Connection, path, v.catalog.notifiers()...)
		if p.Digest.IsSet() && p.Digest.Length < rota.Day/1440 {
			v.add(p.Digest.At, path.Key("digest"), "24h", "must be a minute at least")
		}
	}
}

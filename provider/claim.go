package provider

import "fmt"

// Claim is something outside that only one secret may change: an IAM user, a
// database role, an entry, a file. It names the thing itself and not the way
// to it, so that two ways to the same thing are recognized as one.
type Claim struct {
	// Kind is what it is, for people: "IAM user".
	Kind string
	// Name is its name within Scope, in one spelling: in lower case where the
	// system doesn't distinguish case, with the region where names are a
	// region's. It may hold a resolved reference and is never printed.
	Name string
	// Connection is the one it is reached through; "" for what needs none.
	Connection string
	// Scope is the account or server it belongs to, as [Identifier] spells it,
	// where the name itself says so. "" means the connection's.
	Scope string
	// Server is the one it's on, of those that a connection reaches, as its
	// [ServerIdentifier] knows it. Scope is then what the text says about it.
	Server string
	// Shown is how people are shown it: Kind, and the name where that's no
	// secret. Defaults to Kind.
	Shown string
	// At is where rota.yaml names it.
	At Pos

	// Form and Parts are for what several secrets may share, such as a file
	// with several entries: those with the same form and without a common part.
	// No parts means all of it. With "" as its form a claim is never shared.
	Form  string
	Parts []string
}

// Known is what's known of a configuration when its claims are gathered.
type Known struct {
	// Connection is the name of the connection that stands beside the kind: an
	// issuer's, a store's.
	Connection string

	text   func(Text) (string, bool)
	config func(connection string) any
	opened func(connection string) any
}

// NewKnown makes a Known. text gives a text's value, and false where it's not
// known (yet); config gives a connection's configuration, or nil.
func NewKnown(connection string, text func(Text) (string, bool), config func(string) any) *Known {
	return &Known{Connection: connection, text: text, config: config}
}

// Text is a text's value, and whether it is known.
func (k *Known) Text(t Text) (string, bool) { return k.text(t) }

// Config is the configuration of a connection; nil if there's none.
func (k *Known) Config(connection string) any {
	if k.config == nil {
		return nil
	}
	return k.config(connection)
}

// WithOpened is the Known of a configuration whose connections are open: opened
// gives a connection as its kind made it, or nil.
func (k *Known) WithOpened(opened func(connection string) any) *Known {
	with := *k
	with.opened = opened
	return &with
}

// Opened is the opened connection of this name; nil while only rota.yaml is
// known, or if it can't be opened. It's for what the connection finds on the
// machine, such as a region from the environment. Ask nothing outside.
func (k *Known) Opened(connection string) any {
	if k.opened == nil {
		return nil
	}
	return k.opened(connection)
}

// Claim is the claim on a thing whose name stands in a text. It's false where
// the name isn't known.
func (k *Known) Claim(kind string, name Text) (Claim, bool) {
	value, known := k.text(name)
	if !known || value == "" {
		return Claim{}, false
	}
	c := Claim{Kind: kind, Name: value, Connection: k.Connection, Shown: kind, At: name.At}
	if literal, plain := name.Literal(); plain {
		c.Shown = fmt.Sprintf("%s %q", kind, literal)
	}
	return c, true
}

package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/rotation"
)

var connectionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// validator cross-checks the parts of a file. It skips parts that failed to
// decode, since those were already reported.
type validator struct {
	*decoder
	doc      *Document
	bad      map[string]bool // paths with a problem at or under them
	policies map[string]rotation.Policy
	// incumbents are the resources that keep what they change, by its ids.
	incumbents map[string]string
}

func (v *validator) isBad(path Path) bool { return v.bad[path.String()] }

func (v *validator) document() {
	v.doc.Secrets = slices.DeleteFunc(v.doc.Secrets, func(s *Secret) bool { return s == nil || s.Name.Text == "" })
	for _, name := range slices.Sorted(maps.Keys(v.doc.Connections)) {
		v.connection(name, v.doc.Connections[name])
	}
	v.notify(v.doc.Defaults.Notify, Path{"defaults", "notify"})
	v.defaultRules()
	v.server()
	v.controller()
	names := map[string]Pos{}
	for _, s := range v.doc.Secrets {
		if first, twice := names[s.Name.Text]; twice {
			v.add(s.Name.At, s.path(), "", "the name is already %s", v.place(first, s.Name.At))
			continue
		}
		names[s.Name.Text] = s.Name.At
		v.secret(s)
	}
	v.collisions()
	v.references()
}

// path is the secret's path in the file.
func (s *Secret) path() Path { return Path{"secrets"}.Item(s.Name.Text) }

func (v *validator) connection(name string, c *Connection) {
	if v.resources[c.At.File] == nil && !connectionName.MatchString(name) {
		v.add(c.At, Path{"connections"}, "letters, digits, _ and -, at most 64", "not a connection's name")
		return
	}
	v.choice(&c.Kind, provider.IssuerFacts{}, "")
}

// choice has a kind validate its own configuration, and checks the connections
// the configuration names.
func (v *validator) choice(c *Choice, issuer provider.IssuerFacts, connection string) {
	if c.kind == nil {
		return
	}
	for _, name := range connectionsOf(c.config) {
		v.reference(Plain{At: name.At, Text: name.Text}, name.Path, name.Kind)
	}
	checks, ok := c.config.(provider.Validator)
	if !ok {
		return
	}
	x := provider.NewValidation(c.path, c.at, func(p provider.Problem) {
		if !v.isBad(p.Path) {
			v.report(p)
		}
	})
	x.Issuer, x.ConnectionName = issuer, connection
	if beside := v.doc.Connections[connection]; beside != nil {
		x.Connection = beside.Kind.config
	}
	if !v.isBad(defaultPasswords) {
		x.Passwords = v.doc.Defaults.Password
	}
	checks.Validate(x)
}

// reference checks that a name refers to a connection of one of the wanted
// kinds.
func (v *validator) reference(name Plain, path Path, kinds ...string) {
	if name.Text == "" {
		return
	}
	c, ok := v.doc.Connections[name.Text]
	if !ok && !v.isBad(Path{"connections", name.Text}) {
		v.suggest(name.At, path, v.suggestConnection(name.Text, kinds), "no connection %q", name.Text)
	}
	if c == nil || c.Kind.kind == nil {
		return
	}
	if !slices.Contains(kinds, c.Kind.Key()) {
		hint := ""
		if fitting := v.ofKind(kinds); len(fitting) > 0 {
			hint = strings.Join(fitting, ", ")
		}
		v.add(name.At, path, hint, "connection %q is of kind %s, not %s", name.Text, c.Kind.Key(), strings.Join(kinds, " or "))
	}
}

// suggestConnection makes the remedies for a connection that's missing: one of
// the right kind that there is, or else to add one.
func (v *validator) suggestConnection(name string, kinds []string) []rota.Remedy {
	if fitting := v.ofKind(kinds); len(fitting) > 0 {
		return suggest(name, fitting)
	}
	return rota.Configure("connections", "add one of kind "+strings.Join(kinds, " or ")+" to connections")
}

// ofKind returns the names of the connections of these kinds.
func (v *validator) ofKind(kinds []string) []string {
	return slices.DeleteFunc(sortedNames(v.doc.Connections), func(name string) bool {
		c := v.doc.Connections[name]
		return c == nil || !slices.Contains(kinds, c.Kind.Key())
	})
}

var defaultPasswords = Path{"defaults", "password"}

// defaultRules checks the default password rules on their own, so that a
// mistake there is reported once and not once per secret.
func (v *validator) defaultRules() {
	d := v.doc.Defaults.Password
	if v.isBad(defaultPasswords) {
		return
	}
	if err := d.Over(PasswordRules{}).Validate(); err != nil {
		v.fail(d.At, defaultPasswords, err)
	}
}

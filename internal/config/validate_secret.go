package config

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

func (v *validator) secret(s *Secret) {
	path := "secrets[" + s.Name.Text + "]"
	kind := s.Issuer.kind()
	v.notify(s.Notify, path+".notify")
	if kind.key == "" {
		return
	}
	switch needed, given := kind.connection != "", s.Issuer.Connection; {
	case needed && !given.IsSet():
		v.add(s.Issuer.At, suggest("", v.ofKind([]string{kind.connection})), "%s.issuer: connection is missing", path)
	case !needed && given.IsSet():
		v.add(given.At, "", "%s.issuer.connection: a person needs none", path)
	case needed:
		v.reference(given, path+".issuer.connection", kind.connection)
	}
	if s.Issuer.Manual != nil {
		v.manual(s, path)
		v.policy(s, kind.traits, path+".policy")
		return
	}
	v.ownRole(&s.Issuer, path+".issuer."+kind.key)
	v.issuer(&s.Issuer, path+".issuer."+kind.key)
	v.assumeRole(&s.Issuer, path+".issuer."+kind.key)
	if s.Store != nil {
		v.store(s.Store, kind, path+".store")
	}
	for _, c := range s.Test {
		v.check(c, kind, path+".test")
	}
	v.targets(s.Target, kind, path+".targets")
	v.reloads(s.Reload, path+".reload")
	v.policy(s, kind.traits, path+".policy")
}

// manual refuses what only a program can do.
func (v *validator) manual(s *Secret, path string) {
	for _, part := range []struct {
		given bool
		name  string
	}{{s.Store != nil, "store"}, {len(s.Test) > 0, "test"}, {len(s.Target) > 0, "targets"}, {len(s.Reload) > 0, "reload"}} {
		if part.given {
			v.add(s.Issuer.Manual.At, "try: leave it out", "%s.%s: Rota does not know the credential that a person rotates", path, part.name)
		}
	}
}

func (v *validator) issuer(i *Issuer, path string) {
	if a := i.Alternating; a != nil {
		first, one := a.Roles[0].literal()
		second, two := a.Roles[1].literal()
		if one && two && first != "" && first == second {
			v.add(a.Roles[1].At, "try: a second role with the same rights", "%s.roles: both are the same role", path)
		}
	}
	defaults := v.doc.Defaults.Password
	if v.bad[path] || v.bad["defaults.password"] || mergeRules(defaults, PasswordRules{}).Validate() != nil {
		return // said once already
	}
	if rules, ok := i.rules(defaults); ok {
		if err := rules.Validate(); err != nil {
			v.add(i.At, "", "%s: %s", path, strings.TrimPrefix(err.Error(), "password: "))
		}
	}
}

// ownRole refuses to rotate the role that Rota itself logs in as: after a
// crash between the new password and the connection's, nobody could log in.
func (v *validator) ownRole(i *Issuer, path string) {
	c := v.doc.Connections[i.Connection.Text]
	if c == nil || c.Postgres == nil {
		return
	}
	own, plain := c.Postgres.Username.literal()
	if !plain {
		return
	}
	for _, role := range i.roles() {
		if name, known := role.literal(); known && name == own {
			v.add(role.At, "try: an administering role for the connection alone", "%s: %q is the role that Rota itself logs in as", path, name)
		}
	}
}

// roles are the database roles that the issuer changes.
func (i *Issuer) roles() []Text {
	switch {
	case i.Password != nil:
		return []Text{i.Password.Role}
	case i.Alternating != nil:
		return i.Alternating.Roles[:]
	}
	return nil
}

func (v *validator) store(s *Store, kind issuerKind, path string) {
	v.reference(s.Connection, path+".connection", kindAWS)
	path += ".secrets_manager"
	if s.SecretsManager == nil || v.bad[path+".fields"] {
		return
	}
	fields := s.SecretsManager.Fields
	if !v.fields(fields, kind, path+".fields") || len(fields) == 0 {
		return
	}
	m, err := rota.ParseFieldMap(plainTexts(fields), kind.fields)
	if err != nil {
		return // said by v.fields
	}
	// Rota reads the credential back from the store: a field that is left out,
	// or only part of a template, would be lost.
	for _, field := range kind.needed {
		if !slices.Contains(m.Readable(), field) {
			v.add(s.SecretsManager.At, "try: fields: {"+field+": "+field+"} among the others", "%s.fields: %s is in no entry of its own, so that Rota could not read it back", path, field)
		}
	}
}

// fields checks each entry of a field map.
func (v *validator) fields(fields map[string]Plain, kind issuerKind, path string) bool {
	good := true
	for _, name := range sortedNames(fields) {
		f := fields[name]
		if _, err := rota.ParseFieldMap(map[string]string{name: f.Text}, kind.fields); err != nil {
			v.add(f.At, "", "%s", path+": "+strings.TrimPrefix(err.Error(), "fields: "))
			good = false
		}
	}
	return good
}

func plainTexts(m map[string]Plain) map[string]string {
	texts := make(map[string]string, len(m))
	for name, p := range m {
		texts[name] = p.Text
	}
	return texts
}

func (v *validator) check(c *Check, kind issuerKind, path string) {
	if c == nil {
		return
	}
	if c.S3Bucket.IsSet() && kind.connection != kindAWS {
		v.add(c.S3Bucket.At, `try: query: "SELECT 1"`, "%s.s3_bucket: needs an access key, and the issuer makes a %s", path, kind.traits.Kind)
	}
	if c.Query.IsSet() && kind.connection != kindPostgres {
		v.add(c.Query.At, "try: s3_bucket", "%s.query: needs a database password, and the issuer makes an %s", path, kind.traits.Kind)
	}
}

func (v *validator) targets(targets []*Target, kind issuerKind, path string) {
	lines := map[string]Pos{}
	for _, t := range targets {
		if t == nil || t.Name.Text == "" || t.kind() == "" {
			continue
		}
		v.once(lines, t.Name, path)
		p := path + "[" + t.Name.Text + "]." + t.kind()
		if t.SSMParameter != nil {
			v.parameter(t.SSMParameter, kind, p)
			continue
		}
		f := t.File
		if !v.bad[p+".fields"] {
			v.fields(f.Fields, kind, p+".fields")
		}
		if place, plain := f.Path.literal(); plain && place != "" && !filepath.IsAbs(place) {
			v.add(f.Path.At, "try: /etc/app/credentials.env", "%s.path: must be absolute", p)
		}
		if f.Profile.IsSet() && f.Format.Text != "" && f.Format.Text != formatAWS {
			v.add(f.Profile.At, "try: format: aws_credentials", "%s.profile: belongs to the format aws_credentials", p)
		}
		if f.Format.Text == formatAWS && kind.connection != kindAWS {
			v.add(f.Format.At, "try: dotenv, json", "%s.format: aws_credentials needs an access key, and the issuer makes a %s", p, kind.traits.Kind)
		}
		if f.Mode.IsSet() && f.Mode.Perm()&0o007 != 0 {
			v.add(f.Mode.At, `try: "0600", or "0640" with a group`, "%s.mode: %q lets everyone of the machine at the credential", p, f.Mode.Text)
		}
	}
}

// once notes where a name stands, and refuses it where it stood before.
func (v *validator) once(lines map[string]Pos, name Plain, path string) {
	if first, twice := lines[name.Text]; twice {
		v.add(name.At, "", "%s: the name %q is already on line %d", path, name.Text, first.Line)
	}
	lines[name.Text] = name.At
}

const formatAWS = "aws_credentials"

func (v *validator) reloads(reloads []*Reload, path string) {
	lines := map[string]Pos{}
	for _, r := range reloads {
		if r == nil || r.Name.Text == "" || r.Command == nil {
			continue
		}
		v.once(lines, r.Name, path)
		v.command(r.Command, path+"["+r.Name.Text+"].command")
	}
}

package config

import (
	"fmt"
	"path/filepath"
	"strings"
)

// claim is something outside that only one secret may change.
type claim struct {
	id   string // what is compared; it may hold resolved values and is never printed
	what string // for people: "IAM user", without the name where that is a reference
	at   Pos
}

const iamUser = "IAM user"

// claims lists what a secret changes outside. text gives a text's value, and
// false where it is not known (yet).
//
// Two secrets may write to one file only if it is an AWS credentials file and
// their profiles differ, or if both name their fields and no field is the
// same; the format must be the same.
func (s *Secret) claims(text func(Text) (string, bool)) []claim {
	var claims []claim
	add := func(what, connection string, t Text) {
		value, known := text(t)
		if !known || value == "" {
			return
		}
		shown := what
		if name, plain := t.literal(); plain {
			shown = fmt.Sprintf("%s %q", what, name)
		}
		if what == iamUser {
			value = strings.ToLower(value) // IAM tells no capitals apart
		}
		claims = append(claims, claim{id: strings.Join([]string{what, connection, value}, "\x00"), what: shown, at: t.At})
	}
	connection := s.Issuer.Connection.Text
	if key := s.Issuer.IAMAccessKey; key != nil {
		add(iamUser, connection, key.User)
	}
	for _, role := range s.Issuer.roles() {
		add("database role", connection, role)
	}
	if s.Store != nil && s.Store.SecretsManager != nil {
		add("store entry", s.Store.Connection.Text, s.Store.SecretsManager.Name)
	}
	for _, t := range s.Target {
		if t != nil && t.SSMParameter != nil {
			add("parameter", t.SSMParameter.Connection.Text, t.SSMParameter.Name)
		}
	}
	return claims
}

// collisions refuses two secrets that change the same thing.
func (v *validator) collisions() {
	taken := map[string]claimed{}
	files := map[string][]*fileUse{}
	for _, s := range v.doc.Secrets {
		for _, c := range s.claims(Text.literal) {
			if other, twice := taken[c.id]; twice && other.secret != s.Name.Text {
				v.add(c.at, "try: one secret for both", "secrets[%s]: %s is that of secret %q on line %d", s.Name.Text, c.what, other.secret, other.at.Line)
				continue
			}
			taken[c.id] = claimed{secret: s.Name.Text, at: c.at}
		}
		for _, use := range s.fileUses(Text.literal) {
			for _, other := range files[use.path] {
				if why := use.clash(other); why != "" {
					v.add(use.at, "try: another file, or another profile or other fields in it", "secrets[%s].targets[%s]: the file is that of secret %q on line %d%s", s.Name.Text, use.target, other.secret, other.at.Line, why)
				}
			}
			files[use.path] = append(files[use.path], use)
		}
	}
}

type claimed struct {
	secret string
	at     Pos
}

// fileUse is one target's part of a file.
type fileUse struct {
	secret, target string
	path           string
	at             Pos
	spec           *FileTarget
}

func (s *Secret) fileUses(text func(Text) (string, bool)) []*fileUse {
	var uses []*fileUse
	for _, t := range s.Target {
		if t == nil || t.File == nil {
			continue
		}
		if path, known := text(t.File.Path); known && path != "" {
			uses = append(uses, &fileUse{secret: s.Name.Text, target: t.Name.Text, path: filepath.Clean(path), at: t.File.Path.At, spec: t.File})
		}
	}
	return uses
}

// clash says how two targets get into each other's way in one file.
func (u *fileUse) clash(other *fileUse) string {
	if u.spec.Format.Text != other.spec.Format.Text {
		return ", in another format"
	}
	if u.spec.Format.Text == formatAWS {
		if profile(u.spec) == profile(other.spec) {
			return fmt.Sprintf(", with the same profile %q", profile(u.spec))
		}
		return ""
	}
	if len(u.spec.Fields) == 0 || len(other.spec.Fields) == 0 {
		return ", and not both name their fields"
	}
	for _, name := range sortedNames(u.spec.Fields) {
		if _, both := other.spec.Fields[name]; both {
			return fmt.Sprintf(", and both write %q", name)
		}
	}
	return ""
}

func profile(f *FileTarget) string {
	if f.Profile.Text == "" {
		return "default"
	}
	return f.Profile.Text
}

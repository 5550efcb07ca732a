package provider

import (
	"fmt"
	"regexp"
	"strings"
)

// Reference stands in a [Text] for what is kept elsewhere: ${env:NAME},
// ${file:/path}, ${secret:name#field} or, in a cluster's custom resources,
// ${kubernetes:name#key}. $${ stands for the characters ${.
type Reference struct {
	Kind  ReferenceKind
	Name  string // the variable, the path, the secret, or the Kubernetes Secret with or without its namespace
	Field string // of a secret, or the key of a Kubernetes Secret
}

// ReferenceKind says where a referenced value is kept.
type ReferenceKind string

// The kinds of references.
const (
	RefEnv    ReferenceKind = "env"
	RefFile   ReferenceKind = "file"
	RefSecret ReferenceKind = "secret"
	// RefKubernetes is a key of a Kubernetes Secret.
	RefKubernetes ReferenceKind = "kubernetes"
)

// String is the reference as the file has it.
func (r Reference) String() string {
	if r.Kind == RefSecret || r.Kind == RefKubernetes {
		return fmt.Sprintf("${%s:%s#%s}", r.Kind, r.Name, r.Field)
	}
	return fmt.Sprintf("${%s:%s}", r.Kind, r.Name)
}

// piece is a literal text, or a reference.
type piece struct {
	literal string
	ref     *Reference
}

// malformed says what's wrong with a reference. It holds nothing of the value,
// which may be a password.
type malformed struct{ message, hint string }

// parseReferences splits a value at its references.
func parseReferences(s string) ([]*piece, *malformed) {
	var pieces []*piece
	var literal strings.Builder
	for {
		before, after, found := strings.Cut(s, "${")
		if !found {
			literal.WriteString(s)
			break
		}
		if escaped, ok := strings.CutSuffix(before, "$"); ok {
			literal.WriteString(escaped + "${")
			s = after
			continue
		}
		literal.WriteString(before)
		inside, rest, closed := strings.Cut(after, "}")
		if !closed {
			return nil, &malformed{"a ${ without its }", "$${ for the characters themselves"}
		}
		ref, wrong := parseReference(inside)
		if wrong != nil {
			return nil, wrong
		}
		if literal.Len() > 0 {
			pieces = append(pieces, &piece{literal: literal.String()})
			literal.Reset()
		}
		pieces = append(pieces, &piece{ref: &ref})
		s = rest
	}
	if literal.Len() > 0 {
		pieces = append(pieces, &piece{literal: literal.String()})
	}
	return pieces, nil
}

// A Secret of Kubernetes, with or without its namespace, and a key in one.
var (
	kubernetesSecret = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)
	kubernetesKey    = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)
)

func parseReference(inside string) (Reference, *malformed) {
	kind, name, _ := strings.Cut(inside, ":")
	switch ReferenceKind(kind) {
	case RefEnv:
		if name == "" || strings.ContainsAny(name, "=$ \t\r\n\x00") {
			return Reference{}, &malformed{"${env:…} needs a variable's name", "${env:DB_PASSWORD}"}
		}
		return Reference{Kind: RefEnv, Name: name}, nil
	case RefFile:
		if name == "" || strings.ContainsAny(name, "$\r\n\x00") {
			return Reference{}, &malformed{"${file:…} needs a path", "${file:/run/secrets/db}"}
		}
		return Reference{Kind: RefFile, Name: name}, nil
	case RefSecret:
		secret, field, ok := strings.Cut(name, "#")
		if !ok || !GoodName(secret) || field == "" || strings.ContainsAny(field, "# \t\r\n") {
			return Reference{}, &malformed{"${secret:…} needs a secret's name and a field", "${secret:prod/orders-db#password}"}
		}
		return Reference{Kind: RefSecret, Name: secret, Field: field}, nil
	case RefKubernetes:
		secret, key, ok := strings.Cut(name, "#")
		if !ok || !kubernetesSecret.MatchString(secret) || !kubernetesKey.MatchString(key) {
			return Reference{}, &malformed{"${kubernetes:…} needs the name of a Secret and a key", "${kubernetes:orders-db-admin#password}"}
		}
		return Reference{Kind: RefKubernetes, Name: secret, Field: key}, nil
	}
	return Reference{}, &malformed{"a ${ that is no reference", "${env:NAME}, ${file:/path}, ${secret:name#field}, or $${ for the characters themselves"}
}

// NamesReference reports whether a text, as rota.yaml has it, holds a
// reference.
func NamesReference(s string) bool {
	return strings.Contains(s, "${env:") || strings.Contains(s, "${file:") || strings.Contains(s, "${secret:") || strings.Contains(s, "${kubernetes:")
}

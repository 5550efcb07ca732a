package config

import (
	"errors"
	"fmt"
	"strings"
)

// A reference stands in a value for what is kept elsewhere: ${env:NAME},
// ${file:/path} or ${secret:name#field}. $${ stands for the characters ${.
type reference struct {
	kind  refKind
	name  string // the variable, the path or the secret
	field string // of a secret
}

type refKind string

const (
	refEnv    refKind = "env"
	refFile   refKind = "file"
	refSecret refKind = "secret"
)

func (r reference) String() string {
	if r.kind == refSecret {
		return fmt.Sprintf("${secret:%s#%s}", r.name, r.field)
	}
	return fmt.Sprintf("${%s:%s}", r.kind, r.name)
}

// piece is a literal text, or a reference.
type piece struct {
	literal string
	ref     *reference
}

// parseReferences splits a value at its references. Its errors hold nothing of
// the value, which may be a password.
func parseReferences(s string) ([]*piece, error) {
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
			return nil, errors.New("a ${ without its } (try: $${ for the characters themselves)")
		}
		ref, err := parseReference(inside)
		if err != nil {
			return nil, err
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

func parseReference(inside string) (reference, error) {
	kind, name, _ := strings.Cut(inside, ":")
	switch refKind(kind) {
	case refEnv:
		if name == "" || strings.ContainsAny(name, "=$ \t\r\n\x00") {
			return reference{}, errors.New("${env:…} needs a variable's name (try: ${env:DB_PASSWORD})")
		}
		return reference{kind: refEnv, name: name}, nil
	case refFile:
		if name == "" || strings.ContainsAny(name, "$\r\n\x00") {
			return reference{}, errors.New("${file:…} needs a path (try: ${file:/run/secrets/db})")
		}
		return reference{kind: refFile, name: name}, nil
	case refSecret:
		secret, field, ok := strings.Cut(name, "#")
		if !ok || !goodName(secret) || field == "" || strings.ContainsAny(field, "# \t\r\n") {
			return reference{}, errors.New("${secret:…} needs a secret's name and a field (try: ${secret:prod/orders-db#password})")
		}
		return reference{kind: refSecret, name: secret, field: field}, nil
	}
	return reference{}, errors.New("a ${ that is no reference (try: ${env:NAME}, ${file:/path}, ${secret:name#field}, or $${ for the characters themselves)")
}

// namesReference tells whether a text has a reference in it: for values that
// take none.
func namesReference(s string) bool {
	return strings.Contains(s, "${env:") || strings.Contains(s, "${file:") || strings.Contains(s, "${secret:")
}

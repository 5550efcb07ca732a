package secretsmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/rota-dev/rota/internal/store/record"
)

// operation carries out one call.
type operation func(ctx context.Context, s *Server, g *record.Guarded, body []byte) (any, error)

// request is an operation's parameters. check validates them by themselves.
type request[T any] interface {
	*T
	check() error
}

// handle decodes an operation's parameters, validates them and runs it.
func handle[T any, P request[T], R any](run func(ctx context.Context, s *Server, g *record.Guarded, in P) (R, error)) operation {
	members := membersOf(reflect.TypeFor[T]())
	return func(ctx context.Context, s *Server, g *record.Guarded, body []byte) (any, error) {
		in := P(new(T))
		if err := decode(body, members, in); err != nil {
			return nil, err
		}
		if err := in.check(); err != nil {
			return nil, err
		}
		return run(ctx, s, g, in)
	}
}

// membersOf returns the names of a request's parameters.
func membersOf(t reflect.Type) []string {
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		names = append(names, name)
	}
	return names
}

// decode parses a body strictly: a single object, well-formed text, no
// duplicate members, and none in a different case. Unknown members are ignored,
// as AWS does, because newer clients send them.
func decode(body []byte, members []string, into any) error {
	if !utf8.Valid(body) || hasLoneSurrogate(body) {
		return errSerialization("The request body is not well-formed text.")
	}
	if err := checkMembers(body, members); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return errSerialization(strings.ToUpper(e.Value[:1]) + e.Value[1:] + " can not be converted to what " + e.Field + " should be.")
		}
		return errSerialization("The request body is not the expected JSON.")
	}
	return nil
}

func checkMembers(body []byte, members []string) error {
	bad := errSerialization("The request body is not the expected JSON object.")
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return bad
	}
	seen := make([]string, 0, 16)
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return bad
		}
		for _, other := range seen {
			if strings.EqualFold(other, name) {
				return errSerialization("The request body has a member twice: " + name)
			}
		}
		if seen = append(seen, name); len(seen) > 100 {
			return bad
		}
		for _, member := range members {
			if member != name && strings.EqualFold(member, name) {
				return errSerialization("The request body has a member " + name + ", which should be " + member + ".")
			}
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return bad
		}
	}
	if _, err := d.Token(); err != nil {
		return bad
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return bad
	}
	return nil
}

// hasLoneSurrogate reports whether a text escapes half of a surrogate pair,
// which the decoder would silently replace, even in a secret's value.
func hasLoneSurrogate(body []byte) bool {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		i++ // at the escaped character
		switch {
		case !isSurrogate(body, i, "89aAbB"):
			if isSurrogate(body, i, "cCdDeEfF") {
				return true
			}
		case i+5 < len(body) && body[i+5] == '\\' && isSurrogate(body, i+6, "cCdDeEfF"):
			i += 10
		default:
			return true
		}
	}
	return false
}

// isSurrogate reports whether there is a uD at i, followed by one of the
// digits.
func isSurrogate(body []byte, i int, digits string) bool {
	return i+2 < len(body) && body[i] == 'u' && (body[i+1] == 'd' || body[i+1] == 'D') && strings.IndexByte(digits, body[i+2]) >= 0
}

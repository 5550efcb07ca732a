package client

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// Value is one version of a secret. It's immutable, as small as a pointer, and
// never prints what it holds: use [Value.Field] or [Value.Text] to get that. The
// zero Value has no version and no fields.
type Value struct{ *content }

// content is behind a pointer so that a handle can replace it atomically.
type content struct {
	version string
	expires time.Time
	// hidden is a function because fmt can't call the methods of a value in another
	// struct's unexported field: with the wrong verb, it prints what a pointer
	// points to.
	hidden func() *material
}

// material is what must not be printed.
type material struct {
	text   string
	fields map[string]string
}

func newContent(version, text string, fields map[string]string) *content {
	m := &material{text: text, fields: fields}
	return &content{version: version, expires: rota.NewCredential(fields).ExpiresAt(), hidden: func() *material { return m }}
}

// NewValue returns a version of a secret that has named fields. Its text is the
// fields as a JSON object. It's for sources.
func NewValue(version string, fields map[string]string) Value {
	text, _ := json.Marshal(fields) // a map of strings can't fail
	return Value{newContent(version, string(text), maps.Clone(fields))}
}

// TextValue returns a version of a secret that is text. If the text is a JSON
// object, its members are the fields: strings as they are, and everything else as
// JSON. It's for sources.
func TextValue(version, text string) Value {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) != nil {
		return Value{newContent(version, text, nil)}
	}
	fields := make(map[string]string, len(members))
	for name, member := range members {
		var s string
		if json.Unmarshal(member, &s) != nil {
			s = string(member)
		}
		fields[name] = s
	}
	return Value{newContent(version, text, fields)}
}

// IsZero reports whether there is no value.
func (v Value) IsZero() bool { return v.content == nil }

// Version is what the source calls this version. Two values of one secret with
// the same version are the same.
func (v Value) Version() string {
	if v.content == nil {
		return ""
	}
	return v.version
}

// Field returns one field, such as "username" or "password", or "" if the value
// doesn't have it.
func (v Value) Field(name string) string {
	if v.content == nil {
		return ""
	}
	return v.hidden().fields[name]
}

// Fields returns a copy of all fields.
func (v Value) Fields() map[string]string {
	if v.content == nil {
		return nil
	}
	return maps.Clone(v.hidden().fields)
}

// Names returns the names of the fields, sorted.
func (v Value) Names() []string {
	if v.content == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(v.hidden().fields))
}

// Text returns the whole value: the text that the source has, or the fields as a
// JSON object.
func (v Value) Text() string {
	if v.content == nil {
		return ""
	}
	return v.hidden().text
}

// ExpiresAt is when the credential itself expires, or the zero time if it doesn't
// say.
func (v Value) ExpiresAt() time.Time {
	if v.content == nil {
		return time.Time{}
	}
	return v.expires
}

// String returns the version and the names of the fields, never their values.
func (v Value) String() string {
	return fmt.Sprintf("value%v of version %q [redacted]", v.Names(), v.Version())
}

// GoString returns the same as String, for %#v.
func (v Value) GoString() string { return v.String() }

// Format writes the same as String, whatever the verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(v.String())) }

// LogValue returns the same as String, for log/slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalJSON returns the same as String, as a JSON string, so that a value is
// never marshaled by accident.
func (v Value) MarshalJSON() ([]byte, error) { return json.Marshal(v.String()) }

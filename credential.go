package rota

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Field names that several issuers share. Issuers define any others themselves.
const (
	FieldAccessKeyID     = "access_key_id"
	FieldSecretAccessKey = "secret_access_key"
	FieldUsername        = "username"
	FieldPassword        = "password"
	FieldSessionToken    = "session_token"
	// FieldExpiration is when the credential expires, in RFC 3339.
	FieldExpiration = "expiration"
)

const redacted = "[redacted]"

// Credential is one issued value: named fields, such as access_key_id and
// secret_access_key, or username and password. It's immutable and never
// prints its values: every way of formatting it shows only the field names.
// Use [Credential.Field] and [Credential.Fields] to get values.
type Credential struct {
	// hidden is a function because fmt can't call methods on a value in
	// another struct's unexported field: it would print a map, or what a
	// pointer points to.
	hidden func() map[string]string
}

// NewCredential returns a credential with a copy of fields.
func NewCredential(fields map[string]string) Credential {
	if len(fields) == 0 {
		return Credential{}
	}
	fields = maps.Clone(fields)
	return Credential{hidden: func() map[string]string { return fields }}
}

func (c Credential) fields() map[string]string {
	if c.hidden == nil {
		return nil
	}
	return c.hidden()
}

// Field returns the value of one field, or "" if the credential doesn't have it.
func (c Credential) Field(name string) string { return c.fields()[name] }

// Fields returns a copy of all fields and values. It's for providers that pass
// them on; never put them in a log or an error.
func (c Credential) Fields() map[string]string { return maps.Clone(c.fields()) }

// Names returns the field names, sorted.
func (c Credential) Names() []string { return slices.Sorted(maps.Keys(c.fields())) }

// Only returns the credential without the fields that aren't named.
func (c Credential) Only(names ...string) Credential {
	fields := c.Fields()
	maps.DeleteFunc(fields, func(name, _ string) bool { return !slices.Contains(names, name) })
	return NewCredential(fields)
}

// IsZero reports whether the credential has no fields.
func (c Credential) IsZero() bool { return len(c.fields()) == 0 }

// ExpiresAt returns the time in [FieldExpiration], or the zero time if the
// credential has none.
func (c Credential) ExpiresAt() time.Time {
	end, err := time.Parse(time.RFC3339, c.Field(FieldExpiration))
	if err != nil {
		return time.Time{}
	}
	return end.UTC()
}

// Equal reports whether both credentials have the same fields and values. It
// compares values in constant time.
func (c Credential) Equal(other Credential) bool {
	mine, theirs := c.fields(), other.fields()
	if len(mine) != len(theirs) {
		return false
	}
	same := 1
	for name, value := range mine {
		their, ok := theirs[name]
		if !ok {
			return false
		}
		same &= subtle.ConstantTimeCompare([]byte(value), []byte(their))
	}
	return same == 1
}

// String returns the field names, never the values.
func (c Credential) String() string { return fmt.Sprintf("credential%v %s", c.Names(), redacted) }

// GoString returns the same as String, for %#v.
func (c Credential) GoString() string { return c.String() }

// Format writes the same as String, whatever the verb.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue returns the same as String, for log/slog.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON returns the same as String, as a JSON string, so values are never
// marshaled.
func (c Credential) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

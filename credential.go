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

// Field names that several issuers share. Others are an issuer's own affair.
const (
	FieldAccessKeyID     = "access_key_id"
	FieldSecretAccessKey = "secret_access_key"
	FieldUsername        = "username"
	FieldPassword        = "password"
	FieldSessionToken    = "session_token"
	// FieldExpiration is when the credential ends by itself, in RFC 3339.
	FieldExpiration = "expiration"
)

const redacted = "[redacted]"

// Credential is one issued value: named fields, such as access_key_id and
// secret_access_key, or username and password. It is immutable and never
// prints its values: every way of formatting it gives the field names only.
// Use [Credential.Field] and [Credential.Fields] where a value is needed.
type Credential struct {
	// A function, since fmt cannot call methods on what lies in an unexported
	// field of somebody's struct: it would print a map, or what a pointer
	// points to.
	hidden func() map[string]string
}

// NewCredential copies fields into a credential.
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

// Field is the value of one field, "" where there is none.
func (c Credential) Field(name string) string { return c.fields()[name] }

// Fields is a copy of all values: for providers that hand them on, never for
// a log or an error.
func (c Credential) Fields() map[string]string { return maps.Clone(c.fields()) }

// Names are the fields' names, sorted.
func (c Credential) Names() []string { return slices.Sorted(maps.Keys(c.fields())) }

// IsZero tells whether the credential has no field at all.
func (c Credential) IsZero() bool { return len(c.fields()) == 0 }

// ExpiresAt is when the credential says that it ends by itself, zero where it
// does not say.
func (c Credential) ExpiresAt() time.Time {
	end, err := time.Parse(time.RFC3339, c.Field(FieldExpiration))
	if err != nil {
		return time.Time{}
	}
	return end.UTC()
}

// Equal compares all fields, their values in constant time.
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

// String gives the fields' names, never their values.
func (c Credential) String() string { return fmt.Sprintf("credential%v %s", c.Names(), redacted) }

// GoString is String, for %#v.
func (c Credential) GoString() string { return c.String() }

// Format is String for every verb.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue is String, for log/slog.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON refuses to write values: it gives the redacted text.
func (c Credential) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

package logins

import (
	"cmp"
	"fmt"

	"github.com/rota-dev/rota/client"
)

// Fields are the names of a secret's fields with a user and a password.
type Fields struct{ Username, Password string }

// FieldsOf returns these names, "username" and "password" in place of empty ones.
func FieldsOf(username, password string) Fields {
	return Fields{cmp.Or(username, "username"), cmp.Or(password, "password")}
}

// Read returns a version's user and password. The user of a version that has none is
// the given one.
func (f Fields) Read(s *client.Secret, v client.Value, otherwise string) (username, password string, err error) {
	if password = v.Field(f.Password); password == "" {
		return "", "", fmt.Errorf("secret %q has no field %q: its fields are %q", s.Name(), f.Password, v.Names())
	}
	return cmp.Or(v.Field(f.Username), otherwise), password, nil
}

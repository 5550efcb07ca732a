package rota

import (
	"errors"
	"testing"
)

// An error says whose credential it's about, and where that's valid.
func TestSanitizeShowsWhereACredentialIsValid(t *testing.T) {
	const text = "log in as user orders@admin at db.internal: Authentication failed"
	c := NewCredential(map[string]string{FieldUsername: "orders", "auth_source": "admin", "host": "db.internal", FieldPassword: "value-canary"})
	if got := Sanitize(errors.New(text), c).Error(); got != text {
		t.Errorf("it says %q", got)
	}
}

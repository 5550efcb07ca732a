package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

func TestAGroupHasANameThatARoleCanHave(t *testing.T) {
	c := connect(t, Config{Host: "127.0.0.1", Port: 1, Username: "rota"})
	for _, group := range []string{"pg_monitor", "public", strings.Repeat("x", 64)} {
		if _, err := c.Alternating(AlternatingConfig{Roles: [2]string{"a", "b"}, Group: group}); err == nil || !strings.Contains(err.Error(), "postgres app-db: group: ") {
			t.Errorf("%s: %v", group, err)
		}
	}
	if _, err := c.Alternating(AlternatingConfig{Roles: [2]string{"a", "b"}}); err != nil {
		t.Errorf("without a group: %v", err)
	}
}

func TestNothingIsMadeOnceItsTimeIsOver(t *testing.T) {
	c := connect(t, Config{Host: "127.0.0.1", Port: 1, Username: "rota"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, i := range []rota.Issuer{must(c.Password(PasswordConfig{Role: "a"})), must(c.Alternating(AlternatingConfig{Roles: [2]string{"a", "b"}}))} {
		if made, err := i.Create(ctx, rota.CreateRequest{}); !errors.Is(err, context.Canceled) || !made.IsZero() {
			t.Errorf("got %v, %v", made, err)
		}
	}
}

// Only what can still log in, or could again, is in a deletion's way.
func TestWhatADeletionMeets(t *testing.T) {
	s := shared.Get(t)
	c := superuser(t, s)
	for _, test := range []struct {
		name, options string
		single, pair  error
	}{
		{"it logs in", "LOGIN PASSWORD 'x'", rota.ErrConflict, rota.ErrConflict},
		{"its time is over", "LOGIN PASSWORD 'x' VALID UNTIL '2001-01-01'", rota.ErrConflict, nil},
		{"it has no password", "LOGIN PASSWORD NULL", nil, nil},
		{"it may not log in and has no password", "NOLOGIN PASSWORD NULL", nil, nil},
		{"somebody locked it", "NOLOGIN PASSWORD 'x'", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := role(t, s)
			s.Exec(t, "ALTER ROLE "+quote(name)+" "+test.options)
			retire := rota.RetireRequest{CredentialID: name}
			if err := must(c.Password(PasswordConfig{Role: name})).Delete(t.Context(), retire); !errors.Is(err, test.single) {
				t.Errorf("a role of its own: %v, want %v", err, test.single)
			}
			if err := must(c.Alternating(AlternatingConfig{Roles: [2]string{name, role(t, s)}})).Delete(t.Context(), retire); !errors.Is(err, test.pair) {
				t.Errorf("one of a pair: %v, want %v", err, test.pair)
			}
		})
	}
	if err := must(c.Password(PasswordConfig{Role: "nobody"})).Delete(t.Context(), rota.RetireRequest{CredentialID: "nobody"}); err != nil {
		t.Errorf("one that's gone: %v", err)
	}
}

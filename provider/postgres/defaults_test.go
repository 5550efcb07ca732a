package postgres

import (
	"context"
	"errors"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// A database's and a role's settings change nothing about what Rota's own
// statements do.
func TestSessionDefaultsChangeNothing(t *testing.T) {
	timeouts := []string{"ALTER DATABASE postgres SET idle_session_timeout = '1ms'", "ALTER DATABASE postgres SET idle_in_transaction_session_timeout = '1ms'"}
	if shared.Get(t).Version(t) >= transactionTimeoutVersion {
		// Not shorter: the server counts the login itself, before any client can say something.
		timeouts = append(timeouts, "ALTER DATABASE postgres SET transaction_timeout = '50ms'")
	}
	for name, settings := range map[string][]string{
		"timeouts": timeouts,
		"nothing":  nil,
		"writes":   {"ALTER DATABASE postgres SET default_transaction_read_only = on"},
		"quoting":  {"ALTER DATABASE postgres SET standard_conforming_strings = off", "ALTER DATABASE postgres SET backslash_quote = off"},
		"names":    {"ALTER DATABASE postgres SET search_path = public"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testenv.Postgres(t, testenv.PostgresOptions{})
			const hostile = `o'clock \ "app"`
			createRole(t, s, hostile, "NOLOGIN")
			c := admin(t, s)
			second := pair(t, s)
			s.Exec(t, settings...)
			made := rotate(t, must(c.Password(PasswordConfig{Role: hostile})))
			a := must(c.Alternating(second))
			first := rotate(t, a)
			rotate(t, a, a.CredentialID(first))
			retire := rota.RetireRequest{CredentialID: a.CredentialID(first)}
			if err := errors.Join(a.(rota.Deactivator).Deactivate(t.Context(), retire), a.Delete(t.Context(), retire)); err != nil {
				t.Error(err)
			}
			own := must(Own("app-db", Config{Host: s.Host, Port: s.Port}, OwnConfig{Role: hostile,
				Known: func(context.Context) ([]rota.Credential, error) { return []rota.Credential{made}, nil }}))
			rotate(t, own)
		})
	}
}

// A login that is another role by default can't change its own password as that
// role.
func TestALoginThatIsAnotherRoleChangesItsOwnPassword(t *testing.T) {
	s := shared.Get(t)
	name, group := role(t, s), role(t, s)
	made := rotate(t, must(admin(t, s).Password(PasswordConfig{Role: name})))
	s.Exec(t, "GRANT "+quote(group)+" TO "+quote(name), "ALTER ROLE "+quote(name)+" SET role = "+quote(group))
	own := must(Own("app-db", Config{Host: s.Host, Port: s.Port}, OwnConfig{Role: name,
		Known: func(context.Context) ([]rota.Credential, error) { return []rota.Credential{made}, nil }}))
	rotate(t, own)
}

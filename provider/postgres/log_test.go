package postgres

import (
	"os"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// A server that logs all that it can sees no clear password: not of the new
// one, not of the one before, not of what it rejects or refuses, and not of
// Rota's own.
func TestTheServersLogHoldsNoClearPassword(t *testing.T) {
	s := testenv.Postgres(t, testenv.PostgresOptions{LogStatements: true, Settings: map[string]string{
		"log_connections": "on", "log_disconnections": "on", "log_min_duration_statement": "0", "log_min_messages": "debug2",
		"log_error_verbosity": "verbose", "log_parameter_max_length": "-1", "log_parameter_max_length_on_error": "-1",
		"shared_preload_libraries": "passwordcheck",
	}})
	cfg := pair(t, s)
	const control, old = "Control-Clear-3Vn9", "Adopted-Clear-8Lw4"
	s.Exec(t, "ALTER ROLE "+cfg.Roles[1]+" PASSWORD '"+control+"'") // the test can see a clear one
	s.Exec(t, "ALTER ROLE "+cfg.Roles[0]+" LOGIN PASSWORD '"+must(verifier(old))+"'")
	c := admin(t, s)
	i := must(c.Alternating(cfg))
	secrets := []string{adminPassword, old}

	adopted := testenv.With(must(i.Create(t.Context(), rota.CreateRequest{})), rota.FieldPassword, old)
	if err := i.Test(t.Context(), rota.TestRequest{Credential: adopted}); err != nil {
		t.Fatal(err)
	}
	second := rotate(t, i, cfg.Roles[0])
	retire := rota.RetireRequest{CredentialID: cfg.Roles[0]}
	for _, op := range []string{"list", "last used", "deactivate", "reactivate", "deactivate", "delete"} {
		if err := calls(i, adopted)[op](t.Context()); err != nil {
			t.Errorf("%s %s: %v", op, retire.CredentialID, err)
		}
	}
	third := rotate(t, i, cfg.Roles[1])
	wrong := testenv.With(third, rota.FieldPassword, "Wrong-Clear-2Jb6")
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: wrong}), rota.ClassWait, rota.ErrRefused)
	if err := c.Query("one", "SELECT 1").Check(t.Context(), third); err != nil {
		t.Error(err)
	}
	i.(rota.Preflighter).Preflight(t.Context())
	for _, made := range []rota.Credential{second, third, wrong} {
		secrets = append(secrets, made.Field(rota.FieldPassword))
	}

	log := string(must(os.ReadFile(s.LogFile())))
	if !strings.Contains(log, control) {
		t.Fatal("the log does not even hold the password that was sent in clear: the test would see nothing")
	}
	if n := strings.Count(log, "SCRAM-SHA-256$4096:"); n < 4 {
		t.Errorf("%d verifiers are in the log, want those of each set", n)
	}
	for n, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("password %d is in the server's log in clear", n)
		}
	}
}

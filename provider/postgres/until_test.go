package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/rotation"
)

// validUntil is when a role ends.
func validUntil(t *testing.T, s *testenv.PostgresServer, role string) string {
	t.Helper()
	return must(ask(t.Context(), superuser(t, s), "read", pgx.RowTo[string],
		"SELECT coalesce((rolvaliduntil AT TIME ZONE 'UTC')::date::text, 'never') FROM pg_roles WHERE rolname = $1", role))[0]
}

// An account that's meant to end ends, whoever changes its password meanwhile.
func TestAnEndToComeSurvivesARotation(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct{ before, after string }{
		{"2999-01-02 UTC", "2999-01-02"}, {"infinity", "infinity"}, {"2001-01-01", "infinity"},
	} {
		name := role(t, s)
		// However the server writes a date.
		s.Exec(t, "ALTER ROLE "+name+" VALID UNTIL '"+test.before+"'", "ALTER DATABASE postgres SET DateStyle = 'German'", "ALTER DATABASE postgres SET TimeZone = 'Asia/Kathmandu'")
		i := must(admin(t, s).Password(PasswordConfig{Role: name}))
		rotate(t, i)
		rotate(t, i)
		s.Exec(t, "ALTER DATABASE postgres RESET ALL")
		if got := validUntil(t, s, name); got != test.after {
			t.Errorf("until %s: after the rotation, %s", test.before, got)
		}
	}
}

// The roles of a pair are one account: the next one ends when the current does.
func TestThePairEndsWhenTheCurrentRoleDoes(t *testing.T) {
	s := shared.Get(t)
	cfg := pair(t, s)
	i := must(admin(t, s).Alternating(cfg))
	rotate(t, i)
	s.Exec(t, "ALTER ROLE "+cfg.Roles[0]+" VALID UNTIL '2999-01-02 UTC'")
	rotate(t, i, cfg.Roles[0])
	if got := validUntil(t, s, cfg.Roles[1]); got != "2999-01-02" {
		t.Errorf("the second ends %s", got)
	}
	first := rota.RetireRequest{CredentialID: cfg.Roles[0]}
	if err := i.(rota.Deactivator).Deactivate(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := i.(rota.Deactivator).Reactivate(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if got := validUntil(t, s, cfg.Roles[0]); got != "2999-01-02" {
		t.Errorf("the first, reactivated, ends %s", got)
	}
}

func TestARoleThatEndsBeforeItsNextRotationIsSaid(t *testing.T) {
	s := shared.Get(t)
	const check = "lasts until the next rotation"
	for who, connect := range by {
		t.Run("by "+who, func(t *testing.T) {
			name := role(t, s)
			r := newRotating(connect(t, s), name)
			r.secret.Policy.RotateEvery = 90 * rota.Day
			if done, says := r.steps(t, rota.StepCreate); done != wholeRotation {
				t.Fatalf("it did %q: %s", done, says)
			}
			all := whole{r.secret}
			for _, f := range findings(t, all) {
				if f.Check == "issuer: "+name+" "+check {
					t.Errorf("a role that doesn't end: %+v", f)
				}
			}
			s.Exec(t, "ALTER ROLE "+name+" VALID UNTIL '"+time.Now().Add(30*rota.Day).UTC().Format(time.RFC3339)+"'")
			if f := wantFinding(t, all, check, false, "and the next rotation is at"); !f.Warning {
				t.Errorf("it is no warning: %+v", f)
			}
			s.Exec(t, "ALTER ROLE "+name+" VALID UNTIL '"+time.Now().Add(120*rota.Day).UTC().Format(time.RFC3339)+"'")
			wantFinding(t, all, check, true, "it expires at")
			r.secret.Policy.RotateEvery = 0
			wantFinding(t, all, check, false, "no rotation is scheduled")
		})
	}
}

// whole is all that rota check asks of a secret.
type whole struct{ secret *rotation.Secret }

func (w whole) Preflight(ctx context.Context) []rota.Finding {
	return rotation.Preflight(ctx, w.secret)
}

func TestAValidityThatEndsWithTheCalendarIsNone(t *testing.T) {
	s := shared.Get(t)
	name := role(t, s)
	s.Exec(t, "ALTER ROLE "+name+" LOGIN PASSWORD 'x' VALID UNTIL '294276-12-31'")
	listed, err := must(admin(t, s).Password(PasswordConfig{Role: name})).(rota.Lister).List(t.Context())
	if err != nil || len(listed) != 1 || !listed[0].Active {
		t.Errorf("listed %+v, %v", listed, err)
	}
}

package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// lockable is a secret whose role somebody locks.
type lockable struct {
	server  *testenv.PostgresServer
	store   *memory.Store
	secret  *rotation.Secret
	rotator *rotation.Rotator
	now     time.Time
}

func newLockable(t *testing.T, s *testenv.PostgresServer, issuer rota.Issuer) *lockable {
	l := &lockable{server: s, now: time.Now()}
	o := memory.Options{Now: func() time.Time { return l.now }}
	l.store = memory.NewStore(o)
	l.secret = &rotation.Secret{Name: "app", Issuer: issuer, Store: l.store, Policy: rotation.Policy{
		RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: rota.Day, DeletePreviousAfter: rota.Day, UnusedFor: rota.Day,
	}}
	l.rotator = &rotation.Rotator{Journal: memory.NewJournal(o), Now: o.Now,
		Sleep: func(_ context.Context, d time.Duration) error { l.now = l.now.Add(d); return nil }}
	l.look(t, rota.StepCreate)
	return l
}

// look is one turn, a day later.
func (l *lockable) look(t *testing.T, force rota.Step) rotation.Result {
	t.Helper()
	l.now = l.now.Add(rota.Day)
	r, err := l.rotator.Advance(t.Context(), l.secret, rotation.Options{Force: force})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (l *lockable) name(label rota.Label) string {
	_, c, _ := l.store.Read(label)
	return c.Field(rota.FieldUsername)
}

func (l *lockable) role(t *testing.T, name string) string {
	conn := must(pgx.Connect(t.Context(), l.server.DSN()))
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var state string
	if err := conn.QueryRow(t.Context(), "SELECT rolcanlogin || ' ' || coalesce(rolpassword, '') FROM pg_authid WHERE rolname = $1", name).Scan(&state); err != nil {
		t.Fatal(err)
	}
	return state
}

// A DBA locks the account in use. Rota says that, and neither a look nor a person's
// rota rotate or rota rollback lets it log in again.
func TestARoleThatSomebodyLockedStaysLocked(t *testing.T) {
	s := shared.Get(t)
	for name, as := range map[string]func(testing.TB, *testenv.PostgresServer) *Connection{"with pg_authid": superuser, "without pg_authid": admin} {
		for roles := 1; roles <= 2; roles++ {
			t.Run(fmt.Sprint(name, ", ", roles, " roles"), func(t *testing.T) {
				var issuer rota.Issuer
				if c := as(t, s); roles == 1 {
					issuer = must(c.Password(PasswordConfig{Role: role(t, s)}))
				} else {
					issuer = must(c.Alternating(pair(t, s)))
				}
				l := newLockable(t, s, issuer)
				current := l.name(rota.LabelCurrent)
				s.Exec(t, "ALTER ROLE "+quote(current)+" NOLOGIN")
				before := l.role(t, current)
				const unlock = " LOGIN, if it's meant to log in again"

				d := l.look(t, rota.StepNone).Last
				if d.Hold != rotation.HoldNotAtIssuer || !strings.Contains(d.Reason, "somebody locked "+current) || !strings.HasSuffix(d.Remedies[0].Text, unlock) {
					t.Errorf("a look says %+v", d)
				}
				findings := rotation.Preflight(t.Context(), l.secret)
				i := slices.IndexFunc(findings, func(f rota.Finding) bool { return strings.HasSuffix(f.Check, "is in force") })
				if i < 0 || findings[i].OK || !strings.Contains(findings[i].Detail, "somebody locked") || !strings.HasSuffix(findings[i].Remedies[0].Text, unlock) {
					t.Errorf("check says %+v", findings)
				}
				if roles == 1 {
					if r := l.look(t, rota.StepCreate); r.Last.Hold != rotation.HoldNotAtIssuer || len(r.Last.Remedies) != 1 || len(r.Done) > 0 {
						t.Errorf("asked to rotate: %+v", r)
					}
				}
				if now := l.role(t, current); now != before {
					t.Errorf("the role is %q, and was %q", now, before)
				}
				s.Exec(t, "ALTER ROLE "+quote(current)+" LOGIN")
				if d := l.look(t, rota.StepNone).Last; d.Hold != rotation.HoldNone {
					t.Errorf("once it's unlocked: %s", d.Reason)
				}
			})
		}
	}
}

// The account is locked while a new password is on its way, and before a rollback.
func TestNeitherASetNorARollbackUnlocks(t *testing.T) {
	s := shared.Get(t)
	l := newLockable(t, s, must(superuser(t, s).Password(PasswordConfig{Role: role(t, s)})))
	l.look(t, rota.StepCreate)
	current := l.name(rota.LabelCurrent)
	pending := must(l.secret.Issuer.Create(t.Context(), rota.CreateRequest{}))
	if err := l.store.Put(t.Context(), rota.PutRequest{Version: "rota-on-its-way", Credential: pending, Labels: []rota.Label{rota.LabelPending}}); err != nil {
		t.Fatal(err)
	}
	s.Exec(t, "ALTER ROLE "+quote(current)+" NOLOGIN")
	before := l.role(t, current)
	for _, force := range []rota.Step{rota.StepNone, rota.StepCreate} {
		if d := l.look(t, force).Last; d.Hold != rotation.HoldNotAtIssuer {
			t.Errorf("with a new password on its way, asked to %q: %+v", force, d)
		}
	}
	if _, err := l.rotator.Rollback(t.Context(), l.secret); err != nil { // gives the new one up
		t.Fatal(err)
	}
	if _, err := l.rotator.Rollback(t.Context(), l.secret); err == nil || !strings.Contains(err.Error(), "somebody locked "+current) {
		t.Errorf("a rollback: %v", err)
	}
	if now := l.role(t, current); now != before {
		t.Errorf("the role is %q, and was %q", now, before)
	}
}

// The previous role of a pair is locked. It isn't brought back by a rollback, and
// after its retirement it isn't the next one, until a person takes its password away.
func TestTheLockedPreviousRoleOfAPairStaysLocked(t *testing.T) {
	s := shared.Get(t)
	l := newLockable(t, s, must(superuser(t, s).Alternating(pair(t, s))))
	l.look(t, rota.StepCreate)
	previous := l.name(rota.LabelPrevious)
	s.Exec(t, "ALTER ROLE "+quote(previous)+" NOLOGIN")
	before := l.role(t, previous)
	if _, err := l.rotator.Rollback(t.Context(), l.secret); err == nil || !strings.Contains(err.Error(), "somebody locked") {
		t.Errorf("a rollback: %v", err)
	}
	for range 5 {
		l.look(t, rota.StepNone)
	}
	d := l.look(t, rota.StepCreate).Last
	if d.Hold != rotation.HoldNoFreeSlot || len(d.Remedies) == 0 || !strings.Contains(fmt.Sprint(d.Remedies), previous) {
		t.Errorf("asked to rotate: %+v", d)
	}
	if now := l.role(t, previous); now != before {
		t.Errorf("the role is %q, and was %q", now, before)
	}
	findings := rotation.Preflight(t.Context(), l.secret)
	if !slices.ContainsFunc(findings, func(f rota.Finding) bool {
		return f.Warning && strings.Contains(f.Detail, "role "+previous+" can't log in, but it has a password")
	}) {
		t.Errorf("check says %+v", findings)
	}
	s.Exec(t, "ALTER ROLE "+quote(previous)+" PASSWORD NULL")
	if r := l.look(t, rota.StepCreate); !r.Took(rota.StepPromote) || l.name(rota.LabelCurrent) != previous {
		t.Errorf("once its password is gone: %+v", r)
	}
}

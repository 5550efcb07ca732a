package postgres

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

// ownLogin makes a role with a password, and the issuer by which it changes that
// itself, through a proxy.
func ownLogin(t *testing.T, s *testenv.PostgresServer) (name string, current rota.Credential, issuer func(known ...rota.Credential) rota.Issuer, p *proxy) {
	t.Helper()
	name = role(t, s)
	current = rotate(t, must(admin(t, s).Password(PasswordConfig{Role: name})))
	p = newProxy(t, net.JoinHostPort(s.Host, itoa(s.Port)))
	return name, current, func(known ...rota.Credential) rota.Issuer {
		return must(Own("app-db", Config{Host: "127.0.0.1", Port: p.port}, OwnConfig{Role: name,
			Known: func(context.Context) ([]rota.Credential, error) { return known, nil }}))
	}, p
}

func set(i rota.Issuer, c rota.Credential) func(context.Context) error {
	return func(ctx context.Context) error { return i.Set(ctx, rota.SetRequest{Credential: c}) }
}

func TestAnOwnLoginThatCannotWorkIsRefusedBeforeAnythingHappens(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  Config
		own  OwnConfig
		want string
	}{
		{"a mode that isn't one", Config{Host: "127.0.0.1", SSLMode: "sometimes"}, OwnConfig{Role: "app"}, "sometimes"},
		{"a role of PostgreSQL's", Config{Host: "127.0.0.1"}, OwnConfig{Role: "pg_monitor"}, "reserves that name"},
		{"weak rules", Config{Host: "127.0.0.1"}, OwnConfig{Role: "app", Rules: rota.PasswordRules{Length: 8}}, "bits"},
	} {
		t.Run(test.name, func(t *testing.T) {
			i, err := Own("app-db", test.cfg, test.own)
			if err == nil || i != nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "postgres app-db") {
				t.Errorf("got %v, %v, want an error with %q", i, err, test.want)
			}
		})
	}
}

func TestAnOwnLoginTriesTheKnownPasswordsInTurn(t *testing.T) {
	s := shared.Get(t)
	name, current, issuer, _ := ownLogin(t, s)
	wrong := testenv.With(current, rota.FieldPassword, "not this one")
	next := rotate(t, issuer(wrong, current))
	wantError(t, issuer(next).Test(t.Context(), rota.TestRequest{Credential: current}), rota.ClassWait, rota.ErrRefused)

	// Once it's set, it's in force, and nobody has to know another.
	unasked := must(Own("app-db", Config{Host: s.Host, Port: s.Port}, OwnConfig{Role: name, Known: func(context.Context) ([]rota.Credential, error) {
		t.Error("it asks for the other passwords")
		return nil, nil
	}}))
	if err := set(unasked, next)(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}

	later := must(issuer().Create(t.Context(), rota.CreateRequest{}))
	before := verifierOf(t, s, name)
	wantError(t, set(issuer(wrong, current), later)(t.Context()), rota.ClassStop, nil, "none of the stored passwords logs in", "masterarn")
	other := role(t, s)
	theirs := rotate(t, must(superuser(t, s).Password(PasswordConfig{Role: other})))
	s.Exec(t, "ALTER ROLE "+other+" SUPERUSER") // so that it could
	wantError(t, set(issuer(theirs), later)(t.Context()), rota.ClassStop, nil, "none of the stored passwords logs in")
	if verifierOf(t, s, name) != before {
		t.Error("the password was changed, by another role's login")
	}
}

func TestWhatKeepsAnOwnLoginFromChangingItsPasswordIsSaid(t *testing.T) {
	s := shared.Get(t)
	name, current, issuer, p := ownLogin(t, s)
	next := must(issuer().Create(t.Context(), rota.CreateRequest{}))
	op := "set password of role " + name + ", as that role"

	other := role(t, s)
	wantError(t, set(issuer(current), testenv.With(next, rota.FieldUsername, other))(t.Context()), rota.ClassStop, nil, "set password of role "+other+", as that role", "isn't one of this secret's")
	wantError(t, set(issuer(current), testenv.With(next, rota.FieldPassword, ""))(t.Context()), rota.ClassRegenerate, nil, op, "empty")

	lost := errors.New("the store is gone")
	unknown := must(Own("app-db", Config{Host: s.Host, Port: s.Port}, OwnConfig{Role: name,
		Known: func(context.Context) ([]rota.Credential, error) { return nil, lost }}))
	if err := set(unknown, next)(t.Context()); !errors.Is(err, lost) {
		t.Errorf("without the known passwords: %v", err)
	}

	// The server looks at the password first: a wrong one is refused, and the right
	// one is one login too many.
	s.Exec(t, "ALTER ROLE "+name+" CONNECTION LIMIT 0")
	wantError(t, set(issuer(current), next)(t.Context()), rota.ClassWait, nil, op, "too many connections")
	s.Exec(t, "ALTER ROLE "+name+" CONNECTION LIMIT -1")

	// The change itself isn't a check that a quicker statement would help.
	p.faultAt("ALTER ROLE", providertest.Hang)
	err := set(issuer(current), next)(testenv.Soon(t, 2*time.Second))
	wantError(t, err, rota.ClassWait, context.DeadlineExceeded, op)
	if len(rota.RemediesOf(err)) > 0 {
		t.Errorf("a change that isn't answered has the remedies of a check: %v", rota.RemediesOf(err))
	}
}

// Somebody else changes the role while the login's own change waits for it.
func TestAnOwnLoginThatIsOutrunTriesAgainButNotForEver(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct {
		name  string
		times int64 // that it's outrun
		tries int64
		class rota.Class // "" for success
	}{
		{"never", 0, 1, ""},
		{"once", 1, 2, ""},
		{"up to the limit", maxOutrun, maxOutrun, rota.ClassWait},
	} {
		t.Run(test.name, func(t *testing.T) {
			name, current, issuer, p := ownLogin(t, s)
			faster := must(pgx.Connect(t.Context(), s.DSN()))
			t.Cleanup(func() { _ = faster.Close(context.WithoutCancel(t.Context())) })
			look := must(pgx.Connect(t.Context(), s.DSN()))
			t.Cleanup(func() { _ = look.Close(context.WithoutCancel(t.Context())) })
			var tries atomic.Int64
			idle := make(chan struct{}, 1) // nobody is about to outrun it
			idle <- struct{}{}
			p.watch(func(sent []byte) providertest.FaultKind {
				if !bytes.Contains(sent, []byte("ALTER ROLE")) || tries.Add(1) > test.times {
					return ""
				}
				<-idle
				if _, err := faster.Exec(t.Context(), "BEGIN; ALTER ROLE "+name+" CONNECTION LIMIT 50"); err != nil {
					t.Error(err)
				}
				go func() {
					defer func() { idle <- struct{}{} }()
					for waits := false; !waits && t.Context().Err() == nil; {
						if err := look.QueryRow(t.Context(), "SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'", name).Scan(&waits); err != nil {
							t.Error(err)
							break
						}
					}
					if _, err := faster.Exec(t.Context(), "COMMIT"); err != nil {
						t.Error(err)
					}
				}()
				return ""
			})
			i := issuer(current)
			next := must(i.Create(t.Context(), rota.CreateRequest{}))
			err := set(i, next)(t.Context())
			<-idle
			if n := tries.Load(); n != test.tries {
				t.Errorf("it tried %d times, want %d", n, test.tries)
			}
			inForce := next
			if test.class != "" {
				wantError(t, err, test.class, nil, "set password of role "+name+", as that role", "tuple concurrently updated")
				inForce = current
			} else if err != nil {
				t.Error(err)
			}
			if err := i.Test(t.Context(), rota.TestRequest{Credential: inForce}); err != nil {
				t.Errorf("the password that should be in force: %v", err)
			}
		})
	}
}

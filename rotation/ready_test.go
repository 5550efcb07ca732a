package rotation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// picky is a target or reloader that says before a rotation what's wrong.
type picky struct {
	rota.Target
	rota.Reloader
	finding rota.Finding
}

func (p *picky) Name() string                             { return "picky" }
func (p *picky) Preflight(context.Context) []rota.Finding { return []rota.Finding{p.finding} }

// login is a database whose logins go wrong as a test says.
type login struct {
	*memory.Password
	test    func(rota.Credential) error // nil to log in at the database
	inForce func(rota.Credential) (bool, bool)
	told    func() error // it was asked what's in force
}

func (l *login) Test(ctx context.Context, r rota.TestRequest) error {
	if l.test != nil {
		return l.test(r.Credential)
	}
	return l.Password.Test(ctx, r)
}

func (l *login) InForce(_ context.Context, c rota.Credential) (inForce, known bool, err error) {
	if l.told != nil {
		err = l.told()
	}
	if l.inForce == nil {
		return false, false, err
	}
	inForce, known = l.inForce(c)
	return inForce, known, err
}

// newLogin makes the bench's secret that of a single role, with a password that
// has been in use for 90 days.
func newLogin(t *testing.T, b *bench) (l *login, old rota.Credential) {
	t.Helper()
	o := memory.Options{Now: func() time.Time { return b.now }, Faults: b.faults.Fault}
	l = &login{Password: memory.NewPassword("app", memory.RolesOptions{Options: o})}
	b.secret.Issuer = l
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	b.days(90)
	served, _ := b.target.Current()
	return l, served.Credential
}

// alone checks that the old password was left alone, and that nothing is on its
// way.
func (b *bench) alone(t *testing.T, l *login, old rota.Credential) {
	t.Helper()
	if !l.Login(old) {
		t.Error("the old password doesn't log in any more")
	}
	if now, _ := b.target.Current(); !now.Credential.Equal(old) {
		t.Error("the target has another password")
	}
}

func TestNothingIsSetOrMadeBeforeTargetsAndReloadersAreReady(t *testing.T) {
	broken := rota.Finding{Check: "write /etc/app.env", Detail: "it is a symbolic link", Remedies: rota.Outside("the path that it points to")}
	for _, part := range []string{"target", "reloader"} {
		for _, asked := range []rota.Step{rota.StepNone, rota.StepCreate} {
			t.Run(part+" "+string(asked), func(t *testing.T) {
				b := newBench(t)
				l, _ := newLogin(t, b)
				p := &picky{Target: b.target, Reloader: b.reloader, finding: broken}
				if part == "target" {
					b.secret.Targets = []rota.Target{p}
				} else {
					b.secret.Reloaders = []rota.Reloader{p}
				}
				p.finding.OK = true
				if _, err := b.rotator.Redeliver(t.Context(), b.secret); err != nil {
					t.Fatal(err)
				}
				now, _ := b.target.Current()
				b.days(91)
				p.finding.OK = false
				r := b.advance(t, rotation.Options{Force: asked})
				if r.Last.Hold != rotation.HoldNotReady || len(r.Done) > 0 {
					t.Fatalf("it did %q and says %q (%q)", steps(r), r.Last.Hold, r.Last.Reason)
				}
				if !strings.Contains(r.Last.Reason, part+" picky: write /etc/app.env: it is a symbolic link") || rota.Hint(r.Last.Remedies) != "the path that it points to" {
					t.Errorf("reason %q, remedies %q", r.Last.Reason, rota.Hint(r.Last.Remedies))
				}
				b.alone(t, l, now.Credential)
				if at := r.Status.NextAt.Sub(b.now); at != 10*time.Minute {
					t.Errorf("it looks again after %s", at)
				}
				p.finding.Warning = true // nothing fails because of it
				if got := steps(b.advance(t, rotation.Options{Force: asked})); got != "create set test promote deliver reload" {
					t.Errorf("once it is only a warning, it did %q", got)
				}
			})
		}
	}
}

func TestNoKeyIsMadeThatATargetCouldNotTake(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	b.days(90)
	b.secret.Targets = append(b.secret.Targets, &picky{Target: b.target, finding: rota.Finding{Check: "write"}})
	if r := b.advance(t, rotation.Options{}); r.Last.Hold != rotation.HoldNotReady {
		t.Errorf("held %q: %q", r.Last.Hold, r.Last.Reason)
	}
	if n := len(b.keys.Keys()); n != 1 {
		t.Errorf("%d keys, want the old one alone", n)
	}
}

func TestTheLoginPathIsTriedBeforeTheOldPasswordIsReplaced(t *testing.T) {
	trusted := &rota.Error{Class: rota.ClassStop, Err: errors.New("the server asks for no password"), Remedies: rota.Outside("scram-sha-256")}
	full := &rota.Error{Class: rota.ClassWait, Err: errors.New("too many connections for role app")}
	for name, test := range map[string]struct {
		test    func(rota.Credential) error
		inForce func(rota.Credential) (bool, bool)
		asked   rota.Step
		want    string
	}{
		"a server that trusts everyone":                    {test: func(rota.Credential) error { return trusted }, want: "asks for no password"},
		"a server that trusts everyone, asked by a person": {test: func(rota.Credential) error { return trusted }, asked: rota.StepCreate, want: "asks for no password"},
		"a role whose connections are used up":             {test: func(rota.Credential) error { return full }, want: "too many connections"},
		"a role whose connections are used up, asked by a person": {
			test: func(rota.Credential) error { return full }, asked: rota.StepCreate, want: "too many connections"},
		"a server that asks somebody else": {inForce: func(rota.Credential) (bool, bool) { return false, true }, want: "other than the one that the system keeps"},
		"a server that refuses what it keeps": {
			test: func(rota.Credential) error { return rota.ErrRefused }, inForce: func(rota.Credential) (bool, bool) { return true, true },
			want: "although the system keeps just this credential"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l, old := newLogin(t, b)
			l.test, l.inForce = test.test, test.inForce
			r, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: test.asked})
			said := r.Last.Reason
			if err != nil {
				said = err.Error()
			}
			if len(r.Done) > 0 || !strings.Contains(said, test.want) {
				t.Errorf("it did %q and says %q, want nothing and %q", steps(r), said, test.want)
			}
			l.test, l.inForce = nil, nil
			b.alone(t, l, old)
			b.now = b.now.Add(time.Hour)
			if got := steps(b.advance(t, rotation.Options{})); got != "create set test promote deliver reload" {
				t.Errorf("once that is fixed, it did %q", got)
			}
		})
	}
}

// Nobody knows the password in force, so a wrong one has to be refused.
func TestAnUnknownPasswordIsReplacedOnlyWhereAWrongOneIsRefused(t *testing.T) {
	b := newBench(t)
	o := memory.Options{Now: func() time.Time { return b.now }}
	l := &login{Password: memory.NewPassword("app", memory.RolesOptions{Options: o})}
	unknown := l.Plant("app", "known-to-the-application-alone")
	b.secret.Issuer = l
	l.test = func(rota.Credential) error {
		return &rota.Error{Class: rota.ClassStop, Err: errors.New("pg_hba.conf rejects the connection")}
	}
	r := b.advance(t, rotation.Options{Force: rota.StepCreate})
	if r.Last.Hold != rotation.HoldNotReady || !strings.Contains(r.Last.Reason, "pg_hba.conf rejects") {
		t.Errorf("held %q: %q", r.Last.Hold, r.Last.Reason)
	}
	if !l.Login(unknown) {
		t.Fatal("the unknown password was replaced, though the new one can't be tested")
	}
	l.test = nil
	b.now = b.now.Add(time.Hour)
	if got := steps(b.advance(t, rotation.Options{})); got != "set test promote deliver reload" {
		t.Errorf("once it can be tested, it did %q", got)
	}
}

func TestANewPasswordThatDoesNotPassPromptlyIsReplacedByTheOld(t *testing.T) {
	for name, err := range map[string]error{
		"no connection is left":         &rota.Error{Class: rota.ClassWait, Err: errors.New("too many connections for role app")},
		"the server doesn't answer":     context.DeadlineExceeded,
		"it is refused":                 rota.ErrRefused,
		"it isn't asked for a password": &rota.Error{Class: rota.ClassStop, Err: errors.New("asks for no password")},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l, old := newLogin(t, b)
			l.test = func(c rota.Credential) error {
				switch {
				case !c.Equal(old):
					return err
				case !l.Login(old):
					return rota.ErrRefused
				}
				return nil
			}
			began := b.now
			r, got := b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
			if got == nil || !strings.Contains(got.Error(), err.Error()) {
				t.Errorf("error %v, want one with %q", got, err)
			}
			if steps(r) != "create set set delete" {
				t.Errorf("it did %q", steps(r))
			}
			if took := b.now.Sub(began); took > 30*time.Second {
				t.Errorf("the old password was back only after %s", took)
			}
			b.alone(t, l, old)
			again := b.advance(t, rotation.Options{})
			if again.Last.Hold != rotation.HoldRetrying || !strings.Contains(again.Last.Reason, err.Error()) {
				t.Errorf("then held %q: %q, want the reason", again.Last.Hold, again.Last.Reason)
			}
		})
	}
}

// The server knows that the new password is in force, though nobody can log in
// right now to see it.
func TestATestWithoutAnAnswerIsSettledByWhatTheIssuerKeeps(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"no connection is left": {&rota.Error{Class: rota.ClassWait, Err: errors.New("too many connections")}, "create set test promote deliver reload"},
		"it is refused":         {rota.ErrRefused, "create set set delete"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l, old := newLogin(t, b)
			l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
			l.test = func(c rota.Credential) error {
				if c.Equal(old) {
					return nil
				}
				return test.err
			}
			if r, _ := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); steps(r) != test.want {
				t.Errorf("it did %q, want %q", steps(r), test.want)
			}
		})
	}
}

// Until the old password is back nobody can log in, so that's tried again and
// again, and never given up.
func TestPuttingTheOldPasswordBackIsNeverGivenUp(t *testing.T) {
	b := newBench(t)
	l, old := newLogin(t, b)
	down := &rota.Error{Class: rota.ClassStop, Err: errors.New("permission denied")}
	l.test = func(c rota.Credential) error {
		if c.Equal(old) && l.Login(old) {
			return nil
		}
		return rota.ErrRefused
	}
	made := 0
	for range 60 {
		if made == 0 {
			b.faults.Next("issuer.set", memory.Fault{})
		}
		b.faults.Next("issuer.set", memory.Fault{Before: down})
		made++
		r, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
		if err == nil {
			t.Fatalf("turn %d: %q, held %q", made, steps(r), r.Last.Hold)
		}
		limit := 30 * time.Second
		if made >= 20 {
			limit = 10 * time.Minute
		}
		if wait := r.Status.NextAt.Sub(b.now); wait > limit {
			t.Fatalf("turn %d: the next try is only in %s", made, wait)
		}
		b.now = r.Status.NextAt
	}
	for b.faults.Waiting() > 0 {
		b.faults.Fault(memory.Call{Op: "issuer.set"})
	}
	b.now = b.now.Add(10 * time.Minute)
	_, _ = b.rotator.Advance(t.Context(), b.secret, rotation.Options{}) // the next one fails its test as well
	b.alone(t, l, old)
}

// There's nothing to put back, so the new password may be the only one that
// works.
func TestAFirstPasswordThatWasSetIsKept(t *testing.T) {
	b := newBench(t)
	o := memory.Options{Now: func() time.Time { return b.now }}
	l := &login{Password: memory.NewPassword("app", memory.RolesOptions{Options: o})}
	l.Plant("app", "unknown")
	b.secret.Issuer = l
	l.test = func(c rota.Credential) error {
		if l.Login(c) {
			return &rota.Error{Class: rota.ClassWait, Err: errors.New("too many connections")}
		}
		return rota.ErrRefused
	}
	for range 30 {
		r, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate})
		if err == nil {
			t.Fatalf("it did %q", steps(r))
		}
		b.now = b.now.Add(7 * time.Hour)
	}
	l.test = nil
	b.advance(t, rotation.Options{Force: rota.StepCreate})
	if now, ok := b.target.Current(); !ok || !l.Login(now.Credential) {
		t.Error("nobody has the password in force")
	}
}

// strict is a database that says what it finds wrong with the role.
type strict struct {
	*login
	finding rota.Finding
}

func (s *strict) Preflight(context.Context) []rota.Finding { return []rota.Finding{s.finding} }

// readable is a user's own test that says what it finds wrong with itself.
type readable struct {
	test    rota.Check
	finding rota.Finding
}

func (c *readable) Name() string { return c.test.Name() }
func (c *readable) Check(ctx context.Context, held rota.Credential) error {
	return c.test.Check(ctx, held)
}

func (c *readable) Preflight(context.Context) []rota.Finding { return []rota.Finding{c.finding} }

// Nobody knows the password in force, so logging in with it shows nothing.
func TestAnUnknownPasswordIsReplacedOnlyIfAllThatCanBeSeenIsInOrder(t *testing.T) {
	wrong := rota.Finding{Check: "connect", Detail: "it may not", Remedies: rota.Outside("let it")}
	for _, part := range []string{"issuer", "check"} {
		t.Run(part, func(t *testing.T) {
			b := newBench(t)
			l, _ := newLogin(t, b)
			unknown := l.Plant("app", "of the DBA")
			s, c := &strict{login: l, finding: rota.Finding{OK: true}}, &readable{test: memory.NewCheck("query", nil, memory.Options{}), finding: rota.Finding{OK: true}}
			b.secret.Issuer, b.secret.Checks = s, []rota.Check{c}
			found := map[string]*rota.Finding{"issuer": &s.finding, "check": &c.finding}[part]
			*found = wrong
			r := b.advance(t, rotation.Options{Force: rota.StepCreate})
			if r.Last.Hold != rotation.HoldNotReady || !strings.Contains(r.Last.Reason, part) || !strings.Contains(r.Last.Reason, "connect: it may not") || rota.Hint(r.Last.Remedies) != "let it" {
				t.Errorf("held %q: %s, remedies %q", r.Last.Hold, r.Last.Reason, rota.Hint(r.Last.Remedies))
			}
			if !l.Login(unknown) {
				t.Error("the password was replaced")
			}
			found.OK = true
			if got := steps(b.advance(t, rotation.Options{Force: rota.StepCreate})); got != "create set test promote deliver reload" {
				t.Errorf("once all is in order, it did %q", got)
			}
		})
	}
}

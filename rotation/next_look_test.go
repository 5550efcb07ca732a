package rotation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// denied is an issuer of one token that answers creations with an error.
type denied struct {
	*onlyOne
	class rota.Class
}

func (d denied) Create(context.Context, rota.CreateRequest) (rota.Credential, error) {
	return rota.Credential{}, &rota.Error{Class: d.class, Err: errors.New("no")}
}

// A creation that may have ended the credential in use is followed up within the time
// that a test gets, however often others failed before. One that was denied isn't, and
// neither is one that leaves the old credential alone.
func TestAfterACreationFailed(t *testing.T) {
	const attempts = 8
	for name, test := range map[string]struct {
		make func(*bench, *onlyOne) rota.Issuer
		soon bool
	}{
		"it may have ended the one in use": {func(_ *bench, o *onlyOne) rota.Issuer { return denied{o, rota.ClassWait} }, true},
		"it was denied":                    {func(_ *bench, o *onlyOne) rota.Issuer { return denied{o, rota.ClassStop} }, false},
		"the old one is left alone": {func(b *bench, o *onlyOne) rota.Issuer {
			return leftAlone{denied{o, rota.ClassWait}}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b, o := newOnlyOne(t)
			b.days(90)
			b.secret.Issuer = test.make(b, o)
			for range attempts {
				b.now = b.now.Add(time.Minute) // until the list shows what the last one did
				if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: rota.StepCreate}); err == nil {
					t.Fatal("it succeeded")
				}
			}
			p := b.progress(t)
			if in := p.NextAt.Sub(b.now); (in <= b.secret.Policy.WithDefaults().TestWithin) != test.soon || p.Failure.Attempts != attempts {
				t.Errorf("after %d attempts, it looks again in %s", p.Failure.Attempts, in)
			}
		})
	}
}

// leftAlone makes tokens next to each other.
type leftAlone struct{ denied }

func (l leftAlone) Traits() rota.Traits {
	traits := l.denied.Traits()
	traits.Replaces = false
	return traits
}

// What somebody else may end is looked at once a day, and more often if a day is a
// long time in its life.
func TestHowOftenACredentialIsLookedAt(t *testing.T) {
	for name, test := range map[string]struct {
		traits rota.Traits
		want   time.Duration // 0 for no sooner than it has to be renewed
	}{
		"a lease of a day":               {rota.Traits{Lifetime: 24 * time.Hour, Revocable: true}, 3 * time.Hour},
		"a lease of a month":             {rota.Traits{Lifetime: 30 * rota.Day, Revocable: true}, rota.Day},
		"a session that nobody can end":  {rota.Traits{Lifetime: 30 * rota.Day}, 0},
		"a credential that doesn't end":  {rota.Traits{}, rota.Day},
		"one that only a person rotates": {rota.Traits{Manual: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			test.traits.Kind, test.traits.IssuerChooses, test.traits.TestSuccesses = "lease", true, 1
			l := &leased{b: b, revoked: map[string]bool{}}
			b.secret.Issuer = &asTraits{l, test.traits}
			b.secret.Policy = rotation.Policy{RotateEvery: 90 * rota.Day}
			if test.traits.Lifetime > 0 {
				b.secret.Policy = rotation.Policy{}
			}
			if test.traits.Manual {
				if _, err := b.rotator.Done(t.Context(), b.secret); err != nil {
					t.Fatal(err)
				}
			} else {
				b.advance(t, rotation.Options{Force: rota.StepCreate})
			}
			b.now = b.now.Add(2 * time.Hour)
			b.advance(t, rotation.Options{})
			if in := b.progress(t).NextAt.Sub(b.now); test.want > 0 && in != test.want || test.want == 0 && in < 10*rota.Day {
				t.Errorf("it looks again in %s, want %s", in, test.want)
			}
		})
	}
}

type asTraits struct {
	*leased
	traits rota.Traits
}

func (a *asTraits) Traits() rota.Traits { return a.traits }

func (a *asTraits) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	c, err := a.leased.Create(ctx, r)
	fields := c.Fields()
	delete(fields, rota.FieldExpiration)
	if life := a.traits.Lifetime; life > 0 {
		fields[rota.FieldExpiration] = a.b.now.Add(life).Format(time.RFC3339)
	}
	return rota.NewCredential(fields), err
}

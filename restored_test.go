package rota_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"rota"
	"rota/provider/memory"
)

// putBack is a journal that was put back to an older state.
type putBack struct {
	*memory.Journal
	at time.Time
}

func (p putBack) RestoredAt(context.Context) (time.Time, error) { return p.at, nil }

// refusing is an issuer that lets the current credential in, or does not.
type refusing struct {
	*memory.AccessKeys
	err   error
	tries int
}

func (r *refusing) Test(ctx context.Context, q rota.TestRequest) error {
	r.tries++
	if r.err != nil {
		return r.err
	}
	return r.AccessKeys.Test(ctx, q)
}

func TestAfterARestoreTheIssuerIsAskedBeforeAnythingIsDone(t *testing.T) {
	refused := &rota.Error{Op: "log in", Class: rota.Stop, Err: rota.ErrRefused}
	for _, c := range []struct {
		name string
		err  error
		hold rota.HoldKind
	}{
		{"it is in force", nil, rota.NotHeld},
		{"it is not", refused, rota.NotAtIssuer},
		{"nobody can tell", errors.New("connection refused"), rota.NotHeld},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.advance(t, rota.Options{})
			issuer := &refusing{AccessKeys: b.keys, err: c.err}
			b.secret.Issuer = issuer
			b.days(1)
			if b.advance(t, rota.Options{}); issuer.tries != 0 {
				t.Fatalf("without a restore it was asked %d times", issuer.tries)
			}
			b.rotator.Journal = putBack{b.journal, b.now}
			b.days(100) // a rotation is due by now
			result, err := b.rotator.Advance(t.Context(), b.secret, rota.Options{})
			if _, told := errors.AsType[*rota.Error](c.err); c.err != nil && !told {
				if !errors.Is(err, c.err) || len(result.Done) > 0 {
					t.Fatalf("done %v, %v", result.Done, err)
				}
				return
			}
			if err != nil || result.Last.Hold != c.hold || (len(result.Done) == 0) != (c.hold != rota.NotHeld) {
				t.Fatalf("held %q, done %v: %v", result.Last.Hold, result.Done, err)
			}
			if c.hold == rota.NotHeld {
				tries := issuer.tries
				if b.advance(t, rota.Options{}); issuer.tries != tries {
					t.Error("it is asked again and again")
				}
				return
			}
			if !strings.Contains(result.Last.Reason, "put back to an older state") {
				t.Errorf("the reason is %q", result.Last.Reason)
			}
			issuer.err = nil
			if result := b.advance(t, rota.Options{}); result.Last.Hold != rota.NotHeld {
				t.Errorf("let in again, it is held: %s", result.Last.Reason)
			}
		})
	}
}

func TestAPersonMayRotateWhatTheIssuerRefusesAfterARestore(t *testing.T) {
	b := newBench(t)
	b.advance(t, rota.Options{})
	issuer := &refusing{AccessKeys: b.keys, err: &rota.Error{Op: "log in", Class: rota.Stop, Err: rota.ErrRefused}}
	b.secret.Issuer = issuer
	b.days(1)
	b.rotator.Journal = putBack{b.journal, b.now}
	b.days(1)
	if result := b.advance(t, rota.Options{}); result.Last.Hold != rota.NotAtIssuer {
		t.Fatalf("held %q", result.Last.Hold)
	}
	b.secret.Issuer = b.keys
	if result := b.advance(t, rota.Options{Force: rota.Create}); result.Last.Hold != rota.NotHeld || len(result.Done) == 0 {
		t.Errorf("held %q, done %v", result.Last.Hold, result.Done)
	}
}

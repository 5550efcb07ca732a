package rotation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

func TestALeaseOutlivesItsStoresOutage(t *testing.T) {
	for _, op := range []string{"store.describe", "store.get"} {
		for name, fault := range map[string]memory.Fault{"it's away": {Before: errAway}, "access is denied": {Before: errDenied}} {
			t.Run(op+", "+name, func(t *testing.T) {
				l := newKeptAlive(t)
				l.lives(t, 3*rota.Day)
				l.advance(t, rotation.Options{Force: rota.StepCreate}) // so there's a previous one as well
				l.lives(t, time.Hour)
				issuerCalls := len(l.renewals())
				l.always(op, fault)
				l.lives(t, 30*time.Hour)
				renewed := l.renewals()[issuerCalls:]
				for _, c := range l.given {
					if id := l.keys.CredentialID(c); l.now.Before(c.ExpiresAt()) && !slices.Contains(renewed, id) {
						t.Errorf("%s wasn't renewed", id)
					}
				}
				if p := l.progress(t); op == "store.describe" && (p.Failure == nil || p.Failure.Step != rotation.StepObserve) {
					t.Errorf("the failure is %+v", p.Failure)
				}
				if p := l.progress(t); p.Status.LastsUntil.Before(l.now) || p.Status.BegunAt != (time.Time{}) {
					t.Errorf("the status is %+v", p.Status)
				}
				l.strike = nil
				l.lives(t, 10*rota.Day)
				if kinds := l.kinds(); op == "store.describe" && !strings.Contains(kinds, "recovered") {
					t.Errorf("people heard %q", kinds)
				}
			})
		}
	}
}

func TestKeepAliveCallsNothingButTheIssuer(t *testing.T) {
	l := newKeptAlive(t)
	l.lives(t, 3*rota.Day)
	l.now = l.progress(t).Status.RenewAt.Add(-time.Second)
	calls := map[string]int{}
	l.strike = func(c memory.Call) memory.Fault {
		calls[c.Op]++
		return memory.Fault{}
	}
	keep := func() rotation.Result {
		t.Helper()
		res, err := l.rotator.KeepAlive(t.Context(), l.secret)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := keep(); len(res.Done) != 0 {
		t.Errorf("a second before it's due, it did %q", steps(res))
	}
	if calls["journal.acquire"] != 0 {
		t.Error("it took the lease, and there was nothing to do")
	}
	l.now = l.now.Add(time.Second)
	before := l.progress(t)
	if res := keep(); steps(res) != "renew" {
		t.Errorf("it did %q", steps(res))
	}
	for op := range calls {
		if op != "issuer.renew" && !strings.HasPrefix(op, "journal.") {
			t.Errorf("it called %s", op)
		}
	}
	after := l.progress(t)
	if !after.NextAt.Equal(before.NextAt) || !after.Status.BegunAt.IsZero() {
		t.Errorf("the next turn is due at %s, begun at %s, want %s", after.NextAt, after.Status.BegunAt, before.NextAt)
	}
	if left := after.Status.LastsUntil.Sub(l.now); left != time.Hour || after.Status.RenewAt.Sub(l.now) != 20*time.Minute {
		t.Errorf("the status says that it lasts for %s", left)
	}
	if res := keep(); len(res.Done) != 0 {
		t.Errorf("again, it did %q", steps(res))
	}
}

func TestWhatsBeingDeletedIsntRenewedUnseen(t *testing.T) {
	l := newKeptAlive(t)
	l.lives(t, time.Hour)
	l.advance(t, rotation.Options{Force: rota.StepCreate})
	l.lives(t, time.Hour)
	l.always("store.move", memory.Fault{Before: errAway})
	if _, err := l.rotator.Advance(t.Context(), l.secret, rotation.Options{Force: rota.StepDelete}); err == nil {
		t.Fatal("the label was moved")
	}
	deleted := l.keys.CredentialID(l.given[0])
	l.given = l.given[1:]
	renewals := len(l.renewals())
	l.always("store.describe", memory.Fault{Before: errAway})
	l.lives(t, 5*time.Hour)
	renewed := l.renewals()[renewals:]
	if slices.Contains(renewed, deleted) || len(renewed) == 0 {
		t.Errorf("%v were renewed, and %s was deleted", renewed, deleted)
	}
	if kinds := l.kinds(); strings.Contains(kinds, "failed, failed, failed") {
		t.Errorf("people heard %q", kinds)
	}
}

func TestNothingElseIsDoneUnseen(t *testing.T) {
	l := newKeptAlive(t)
	l.lives(t, 3*rota.Day)
	l.always("store.describe", memory.Fault{Before: errAway})
	for range 50 {
		res, err := l.try(t)
		if err == nil || !strings.Contains(err.Error(), "describe the store") {
			t.Fatalf("the turn says %v", err)
		}
		if did := strings.ReplaceAll(steps(res), "renew", ""); strings.TrimSpace(did) != "" {
			t.Fatalf("it did %q", did)
		}
		l.now = l.progress(t).NextAt
	}
}

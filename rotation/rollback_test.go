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

// replacedLogin is a secret of a single role whose password was replaced, so that
// a rollback would end the new one. The login refuses the old one in any case.
func replacedLogin(t *testing.T) (b *bench, l *login, before, current rota.Credential) {
	t.Helper()
	b = newBench(t)
	l, before = newLogin(t, b)
	b.advance(t, rotation.Options{})
	_, current, _ = b.store.Read(rota.LabelCurrent)
	b.days(1)
	l.test = func(c rota.Credential) error {
		if c.Equal(before) || !l.Login(c) {
			return rota.ErrRefused
		}
		return nil
	}
	return b, l, before, current
}

// since are the steps in the audit from there on, as "step outcome".
func (b *bench) since(n int) string {
	var out []string
	for _, e := range b.journal.Entries()[n:] {
		if e.Step != string(rotation.StepNotify) {
			out = append(out, e.Step+" "+string(e.Outcome))
		}
	}
	return strings.Join(out, ", ")
}

func TestARollbackToAPasswordThatDoesNotWorkPutsTheCurrentOneBack(t *testing.T) {
	b, l, _, current := replacedLogin(t)
	audited := len(b.journal.Entries())
	_, err := b.rotator.Rollback(t.Context(), b.secret)
	if !errors.Is(err, rota.ErrRefused) || !strings.Contains(err.Error(), "didn't pass its test") {
		t.Errorf("error %v", err)
	}
	b.alone(t, l, current)
	want := "rollback begun, set begun, set ok, rollback failed, set begun, set ok"
	if got := b.since(audited); got != want {
		t.Errorf("the audit has %s\nwant %s", got, want)
	}
	if b.progress(t).Rollback != nil {
		t.Error("the rollback isn't over")
	}
	events := b.notifier.Events()
	if last := events[len(events)-1]; last.Kind != rota.EventFailed || !strings.Contains(last.Reason, "abandoned: the previous credential didn't pass its test") || !strings.HasSuffix(last.Reason, "; the current one was put back") {
		t.Errorf("the last event is %+v", last)
	}
}

// Nothing was sent to the issuer yet, so the password in use still works and the
// rollback goes on later.
func TestAJournalThatIsDownDoesNotEndARollback(t *testing.T) {
	b, l, before, current := replacedLogin(t)
	l.test = nil
	failed := false
	b.strike = func(c memory.Call) memory.Fault {
		entries := b.journal.Entries()
		if last := entries[len(entries)-1]; !failed && c.Op == "journal.save" && last.Step == "rollback" && last.Outcome == rotation.OutcomeBegun {
			failed = true
			return memory.Fault{Before: &rota.Error{Class: rota.ClassWait, Err: errors.New("503")}}
		}
		return memory.Fault{}
	}
	audited := len(b.journal.Entries())
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err == nil || !failed {
		t.Fatalf("error %v, and a save failed: %t", err, failed)
	}
	if !l.Login(current) || b.progress(t).Rollback == nil {
		t.Errorf("the password in use works: %t; the rollback: %+v", l.Login(current), b.progress(t).Rollback)
	}
	b.now = b.progress(t).NextAt
	b.advance(t, rotation.Options{})
	if _, c, _ := b.store.Read(rota.LabelCurrent); !c.Equal(before) || !l.Login(before) {
		t.Error("the previous password isn't current and in force")
	}
	if got := b.since(audited); strings.Count(got, "set ok") != 1 {
		t.Errorf("the audit has %s", got)
	}
}

func TestPuttingTheCurrentPasswordBackAfterARollbackIsNeverGivenUp(t *testing.T) {
	b, l, _, current := replacedLogin(t)
	denied := &rota.Error{Class: rota.ClassStop, Err: errors.New("permission denied")}
	b.faults.Next("issuer.set", memory.Fault{})
	for n := range 30 {
		b.faults.Next("issuer.set", memory.Fault{Before: denied})
		act := b.rotator.Rollback
		if n > 0 {
			act = func(ctx context.Context, s *rotation.Secret) (rotation.Result, error) {
				return b.rotator.Advance(ctx, s, rotation.Options{})
			}
		}
		r, err := act(t.Context(), b.secret)
		if !errors.Is(err, denied) {
			t.Fatalf("turn %d: %v (%s, %q)", n, err, steps(r), r.Last.Reason)
		}
		limit := 30 * time.Second
		if n >= 19 {
			limit = 10 * time.Minute
		}
		if wait := r.Status.NextAt.Sub(b.now); wait > limit {
			t.Fatalf("turn %d: the next try is only in %s", n, wait)
		}
		b.now = r.Status.NextAt
	}
	if got := steps(b.advance(t, rotation.Options{})); got != "set" {
		t.Errorf("once it may, it did %q", got)
	}
	b.alone(t, l, current)
}

// The call that makes the previous password valid again fails, and nobody knows
// whether it had an effect. A pooler still lets the current one in.
func TestARollbackOfUnknownOutcomePutsTheCurrentPasswordBack(t *testing.T) {
	b, l, _, current := replacedLogin(t)
	l.test = func(rota.Credential) error { return nil }
	for range 3 {
		b.faults.Next("issuer.set", memory.Fault{After: errors.New("connection reset")})
	}
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err == nil {
		t.Error("the lost answers went unnoticed")
	}
	b.alone(t, l, current)
}

func TestARollbackThatWasNotSetLeavesTheCurrentPasswordAlone(t *testing.T) {
	b, l, _, current := replacedLogin(t)
	denied := &rota.Error{Class: rota.ClassStop, Err: errors.New("permission denied")}
	b.faults.Next("issuer.set", memory.Fault{Before: denied})
	audited := len(b.journal.Entries())
	if _, err := b.rotator.Rollback(t.Context(), b.secret); !errors.Is(err, denied) {
		t.Errorf("error %v", err)
	}
	if got, want := b.since(audited), "rollback begun, set begun, set failed, rollback failed"; got != want {
		t.Errorf("the audit has %s, want %s", got, want)
	}
	b.alone(t, l, current)
}

// While the previous password is tested, somebody sets another one, and the
// issuer can tell.
func TestARollbackPutsNothingBackOverAPasswordThatSomebodySet(t *testing.T) {
	b, l, before, _ := replacedLogin(t)
	var theirs rota.Credential
	l.inForce = func(c rota.Credential) (bool, bool) { return l.Login(c), true }
	l.test = func(c rota.Credential) error {
		if c.Equal(before) && l.Login(before) {
			theirs = l.Plant("app", "theirs")
		}
		if !l.Login(c) {
			return rota.ErrRefused
		}
		return nil
	}
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err == nil {
		t.Error("the rollback succeeded")
	}
	if theirs.IsZero() || !l.Login(theirs) {
		t.Error("the password that somebody set was replaced")
	}
	if b.progress(t).Rollback != nil {
		t.Error("the rollback isn't over")
	}
	var said bool
	for _, e := range b.notifier.Events() {
		said = said || strings.Contains(e.Reason, "someone has set another one since")
	}
	if !said {
		t.Error("no event says why nothing was put back")
	}
}

// Before the current password is back, somebody makes another version current:
// there's nothing to put back any more.
func TestARollbackThatFailedIsOverOnceAnotherVersionIsCurrent(t *testing.T) {
	b, l, _, _ := replacedLogin(t)
	b.faults.Next("issuer.set", memory.Fault{})
	b.faults.Next("issuer.set", memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: errors.New("permission denied")}})
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err == nil {
		t.Fatal("the current password was put back")
	}
	theirs := l.Plant("app", "theirs")
	b.store.Plant("theirs", theirs, rota.LabelCurrent)
	b.now = b.now.Add(time.Minute)
	r := b.advance(t, rotation.Options{})
	if b.progress(t).Rollback != nil || !l.Login(theirs) || r.Last.Hold != rotation.HoldForeignChange {
		t.Errorf("it did %q, held %q: %s", steps(r), r.Last.Hold, r.Last.Reason)
	}
}

// The rollback's last call fails, and before it's tried again somebody makes another
// version current: going on would end the password in use.
func TestAnUnfinishedRollbackIsOverOnceAnotherVersionIsCurrent(t *testing.T) {
	b, l, _, _ := replacedLogin(t)
	l.test = nil
	for range 4 {
		b.faults.Next("store.move", memory.Fault{Before: &rota.Error{Class: rota.ClassWait, Err: errors.New("503")}})
	}
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err == nil || b.progress(t).Rollback == nil {
		t.Fatalf("the rollback isn't under way: %v", err)
	}
	to := b.progress(t).Rollback.To // with a label, it stays in the store
	if err := b.store.Move(t.Context(), rota.MoveRequest{Label: rota.LabelAdopted, To: to}); err != nil {
		t.Fatal(err)
	}
	theirs := l.Plant("app", "theirs")
	b.store.Plant("theirs", theirs, rota.LabelCurrent)
	b.now = b.now.Add(time.Hour)
	r := b.advance(t, rotation.Options{})
	if b.progress(t).Rollback != nil || !l.Login(theirs) || r.Last.Hold != rotation.HoldForeignChange {
		t.Errorf("it did %q, held %q: %s", steps(r), r.Last.Hold, r.Last.Reason)
	}
}

// Asked for again, a rollback that failed is tried at once.
func TestARollbackThatIsAskedForAgainDoesNotWait(t *testing.T) {
	b, l, before, _ := replacedLogin(t)
	l.test = nil
	for range 4 {
		b.faults.Next("store.move", memory.Fault{Before: &rota.Error{Class: rota.ClassWait, Err: errors.New("503")}})
	}
	if _, err := b.rotator.Rollback(t.Context(), b.secret); err == nil {
		t.Fatal("the rollback succeeded")
	}
	if r, err := b.rotator.Rollback(t.Context(), b.secret); err != nil || b.progress(t).Rollback != nil {
		t.Errorf("it did %q, held %q: %v", steps(r), r.Last.Hold, err)
	}
	b.alone(t, l, before)
}

// A pooler goes on letting the current password in after the call that may have
// replaced it.
func TestALoginDoesNotShowThatALostSetHadNoEffect(t *testing.T) {
	b := newBench(t)
	l, old := newLogin(t, b)
	l.test = func(rota.Credential) error { return nil }
	b.faults.Next("issuer.set", memory.Fault{After: errors.New("connection reset")})
	r, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
	if err == nil || steps(r) != "create set delete" {
		t.Errorf("it did %q: %v", steps(r), err)
	}
	b.alone(t, l, old)
}

package rotation_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/manual"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// kinds are the kinds of the events that the notifier got, in order.
func (b *bench) kinds() string {
	var kinds []string
	for _, e := range b.notifier.Events() {
		kinds = append(kinds, string(e.Kind))
	}
	return strings.Join(kinds, ", ")
}

func TestAPersonIsRemindedUntilItIsDone(t *testing.T) {
	b := newBench(t)
	b.secret.Issuer = manual.Issuer{What: "licence key"}
	b.secret.Owner = "ann"
	b.secret.Targets, b.secret.Reloaders = nil, nil
	if res := b.advance(t, rotation.Options{}); res.Last.Hold != rotation.HoldManual {
		t.Fatalf("what nobody has done is %q: %s", res.Last.Hold, res.Last.Reason)
	}
	if got, want := b.kinds(), "reminder"; got != want {
		t.Fatalf("notified %q, want %q", got, want)
	}
	if _, err := b.rotator.Done(t.Context(), b.secret); err != nil {
		t.Fatal(err)
	}
	for range 110 { // until day 110: 14 days ahead, when due, and a week later
		b.days(1)
		b.advance(t, rotation.Options{})
	}
	if got, want := b.kinds(), "reminder, rotated, reminder, reminder, reminder, reminder"; got != want {
		t.Errorf("notified %q, want %q", got, want)
	}
	last := b.notifier.Events()[len(b.notifier.Events())-1]
	if !strings.Contains(last.Reason, "owner: ann") || !strings.Contains(last.Why(), "done") {
		t.Errorf("the reminder says %q", last.Why())
	}
	if _, err := b.rotator.Done(t.Context(), b.secret); err != nil {
		t.Fatal(err)
	}
	if res := b.advance(t, rotation.Options{}); res.Last.Hold != rotation.HoldNone || !res.Last.Due.Equal(b.now.Add(90*rota.Day)) {
		t.Errorf("after it is done: held %q, due %s", res.Last.Hold, res.Last.Due)
	}
}

func TestDoneIsForPersonsOnly(t *testing.T) {
	b := newBench(t)
	b.advance(t, rotation.Options{})
	if _, err := b.rotator.Done(t.Context(), b.secret); err == nil || !strings.Contains(hint.Text(err), "rota rotate") {
		t.Errorf("got %v", err)
	}
}

// ending is an issuer whose credentials end with their account.
type ending struct {
	*memory.AccessKeys
	at time.Time
}

func (e ending) List(ctx context.Context) ([]rota.Issued, error) {
	list, err := e.AccessKeys.List(ctx)
	for i := range list {
		list[i].ExpiresAt, list[i].EndsWithAccount = e.at, true
	}
	return list, err
}

func TestACredentialThatEndsIsToldOfOnce(t *testing.T) {
	b := newBench(t)
	b.secret.Issuer = ending{b.keys, b.now.Add(60 * rota.Day)}
	b.advance(t, rotation.Options{})
	for range 50 {
		b.days(1)
		b.advance(t, rotation.Options{})
	}
	if got, want := b.kinds(), "rotated, expiring soon"; got != want {
		t.Errorf("notified %q, want %q", got, want)
	}
}

// halting is a journal with a person's words in it.
type halting struct {
	rotation.Journal
	halts rotation.Halts
}

func (h *halting) Load(ctx context.Context, secret string, peers ...string) (rotation.Snapshot, error) {
	snapshot, err := h.Journal.Load(ctx, secret, peers...)
	snapshot.Halts = h.halts
	return snapshot, err
}

func TestAPausedSecretIsNotRotatedUntilItIsResumed(t *testing.T) {
	b := newBench(t)
	journal := &halting{Journal: b.rotator.Journal}
	b.rotator.Journal = journal
	b.advance(t, rotation.Options{})
	b.days(90)
	journal.halts.Paused = &rotation.Halt{By: "ann", At: b.now}
	if res := b.advance(t, rotation.Options{}); len(res.Done) > 0 || res.Last.Hold != rotation.HoldPaused {
		t.Fatalf("while paused it did %q, hold %q", steps(res), res.Last.Hold)
	}
	journal.halts.Paused = nil
	if res := b.advance(t, rotation.Options{}); !strings.HasPrefix(steps(res), "create") {
		t.Errorf("after the pause it did %q", steps(res))
	}
}

func TestPairedSecretsAreKeptApart(t *testing.T) {
	a, b := newBench(t), newBench(t)
	b.rotator, b.now = a.rotator, a.now
	b.secret.Name = "z"
	b.secret.Policy.ApartFrom = []rotation.Apart{{Secret: a.secret.Name, By: 12 * time.Hour}}
	first, err := a.rotator.Advance(t.Context(), a.secret, rotation.Options{})
	if err != nil || len(first.Done) == 0 {
		t.Fatalf("did %q, %v", steps(first), err)
	}
	if _, err := a.rotator.Advance(t.Context(), b.secret, rotation.Options{}); err != nil {
		t.Fatal(err) // the very first credential isn't a rotation, so there's nothing to keep apart
	}
	a.days(90)
	both := map[string]string{}
	for _, s := range []*rotation.Secret{b.secret, a.secret, b.secret} {
		res, err := a.rotator.Advance(t.Context(), s, rotation.Options{})
		if err != nil {
			t.Fatal(err)
		}
		both[s.Name] += steps(res)
	}
	if both["z"] != "" || !strings.HasPrefix(both[a.secret.Name], "create") {
		t.Fatalf("on the same day: %v", both)
	}
	a.now = a.now.Add(12 * time.Hour)
	res, err := a.rotator.Advance(t.Context(), b.secret, rotation.Options{})
	if err != nil || !strings.HasPrefix(steps(res), "create") {
		t.Errorf("twelve hours later it did %q, %v", steps(res), err)
	}
}

// hidden is an issuer that can't be looked at while it is out of reach.
type hidden struct {
	*memory.AccessKeys
	err error
}

func (h *hidden) List(ctx context.Context) ([]rota.Issued, error) {
	if h.err != nil {
		return nil, h.err
	}
	return h.AccessKeys.List(ctx)
}

// Looking changes nothing: it goes on, and nobody has to lift anything.
func TestALookThatFailsIsNeverGivenUp(t *testing.T) {
	b := newBench(t)
	out := &hidden{AccessKeys: b.keys}
	b.secret.Issuer, b.secret.Policy.MaxAttempts = out, 2
	b.advance(t, rotation.Options{})
	before := len(b.notifier.Events())
	out.err = errors.New("connection refused")
	for range 5 {
		b.days(31)
		if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{}); !errors.Is(err, out.err) {
			t.Fatalf("it was not looked at: %v", err)
		}
	}
	out.err = nil
	b.advance(t, rotation.Options{})
	var kinds []rota.EventKind
	for _, e := range b.notifier.Events()[before:] {
		kinds = append(kinds, e.Kind)
	}
	if slices.Contains(kinds, rota.EventQuarantined) || !slices.Contains(kinds, rota.EventFailed) || !slices.Contains(kinds, rota.EventRecovered) {
		t.Errorf("notified %v, want failed and recovered, and no quarantine", kinds)
	}
}

func TestWhatNeedsTheValueOfAManualSecretIsRefused(t *testing.T) {
	b := newBench(t)
	b.secret.Issuer = manual.Issuer{What: "licence key"}
	b.secret.Targets, b.secret.Reloaders = nil, nil
	want := rota.Remedy{Action: rota.RemedyDone, Secret: b.secret.Name, Text: "once a person has rotated it"}
	for name, do := range map[string]func() (rotation.Result, error){
		"adopt": func() (rotation.Result, error) {
			return b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{})
		},
		"rollback": func() (rotation.Result, error) { return b.rotator.Rollback(t.Context(), b.secret) },
		"deliver":  func() (rotation.Result, error) { return b.rotator.Redeliver(t.Context(), b.secret) },
	} {
		_, err := do()
		if remedies := rota.RemediesOf(err); err == nil || rota.ClassOf(err) != rota.ClassStop || len(remedies) != 1 || remedies[0] != want {
			t.Errorf("%s: %v, with %+v", name, err, remedies)
		}
	}
	for _, f := range rotation.Preflight(t.Context(), b.secret) {
		if f.Check == "overlap" {
			t.Errorf("nothing that Rota could do about it: %+v", f)
		}
	}
	if _, err := b.rotator.Done(t.Context(), b.secret); err != nil {
		t.Errorf("the remedy leads nowhere: %v", err)
	}
}

package rotation_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// leftBehind is a secret that was rotated without Rota, five days ago: one key is
// AWSCURRENT and the one before it AWSPREVIOUS.
func leftBehind(t *testing.T) (b *bench, previous, current rota.Credential) {
	t.Helper()
	b = newBench(t)
	b.secret.Policy.UnusedFor = 7 * rota.Day
	previous = b.keys.Plant()
	b.store.Plant("by-hand-1", previous, rota.LabelCurrent)
	b.days(90)
	current = b.keys.Plant()
	b.store.Plant("by-hand-2", current, rota.LabelCurrent)
	b.days(5)
	return b, previous, current
}

// active reports whether a key is active. A login would count as a use.
func (b *bench) active(c rota.Credential) bool {
	return slices.ContainsFunc(b.keys.Keys(), func(i rota.Issued) bool { return i.ID == b.keys.CredentialID(c) && i.Active })
}

func (b *bench) adopted(t *testing.T) (ids []string) {
	t.Helper()
	res, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range res.Done {
		ids = append(ids, d.Credential)
	}
	return ids
}

func TestAnAdoptionTakesOverThePreviousKeyToo(t *testing.T) {
	b, previous, current := leftBehind(t)
	replaced := b.now.AddDate(0, 0, -5)
	if got, want := fmt.Sprint(b.adopted(t)), fmt.Sprint([]string{b.keys.CredentialID(current), b.keys.CredentialID(previous)}); got != want {
		t.Errorf("adopted %s, want %s", got, want)
	}
	// Its grace counts from when it was replaced, not from the adoption.
	for b.now.Before(replaced.AddDate(0, 0, 30)) {
		b.advance(t, rotation.Options{})
		if !b.active(previous) {
			break
		}
		b.days(1)
	}
	if got := b.now.Sub(replaced); got != 10*rota.Day {
		t.Errorf("the previous key was found inactive %s after it was replaced, want 10 days", got)
	}
	b.days(10)
	b.advance(t, rotation.Options{})
	b.days(70)
	if got := steps(b.advance(t, rotation.Options{})); got != "create test promote deliver reload" {
		t.Errorf("the next rotation did %q", got)
	}
	if b.keys.Login(previous) || !b.keys.Login(current) {
		t.Error("the key in use is to log in, and the one before it not to")
	}
}

func TestAPreviousKeyThatWasInactiveIsDeletedAfterItsSecondGrace(t *testing.T) {
	b, previous, _ := leftBehind(t)
	b.days(10) // day 105: the old function has deactivated it
	object := rota.RetireRequest{CredentialID: b.keys.CredentialID(previous)}
	if err := b.keys.Deactivate(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	b.days(1)
	b.adopted(t)
	if got := steps(b.advance(t, rotation.Options{})); got != "deactivate" {
		t.Errorf("after the adoption it did %q", got)
	}
	b.days(9)
	if got := steps(b.advance(t, rotation.Options{})); got != "" {
		t.Errorf("before the second grace was over it did %q", got)
	}
	b.days(1)
	if got := steps(b.advance(t, rotation.Options{})); got != "delete" {
		t.Errorf("after the second grace it did %q", got)
	}
}

func TestAnInactiveKeyIsDeletedWhenAPersonAsks(t *testing.T) {
	b, previous, _ := leftBehind(t)
	b.adopted(t)
	if got := b.advance(t, rotation.Options{Force: rota.StepDelete}); got.Last.Hold != rotation.HoldStillActive {
		t.Errorf("an active one is deleted: %+v", got)
	}
	if err := b.keys.Deactivate(t.Context(), rota.RetireRequest{CredentialID: b.keys.CredentialID(previous)}); err != nil {
		t.Fatal(err)
	}
	b.days(1)
	if got := steps(b.advance(t, rotation.Options{Force: rota.StepDelete})); got != "deactivate delete" {
		t.Errorf("it did %q", got)
	}
}

func TestAPreviousKeyThatProvesNothingIsLeftAlone(t *testing.T) {
	b, _, current := leftBehind(t)
	b.store.Plant("by-hand-3", current, rota.LabelCurrent)
	b.store.Plant("stranger", rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "AKIASOMEBODYELSES", rota.FieldSecretAccessKey: "x"}), rota.LabelPrevious)
	if got := b.adopted(t); len(got) != 1 {
		t.Errorf("adopted %v, want only the current one", got)
	}
	if got := labels(t, b.store); strings.Contains(got, "ROTA_ADOPTED_PREVIOUS") {
		t.Errorf("labels: %s", got)
	}
}

// A fault at each call of an adoption: nothing is taken from anyone, and the same
// command finishes it.
func TestAnAdoptionOfTwoIsInterruptedAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		b, previous, current := leftBehind(t)
		calls, struck := 0, false
		b.strike = func(memory.Call) memory.Fault {
			if calls++; calls == n+1 {
				struck = true
				return memory.Fault{After: &rota.Error{Class: rota.ClassStop, Err: errors.New("interrupted")}}
			}
			return memory.Fault{}
		}
		notBefore := b.now.AddDate(0, 0, 200)
		o := rotation.AdoptOptions{NotBefore: notBefore}
		_, _ = b.rotator.Adopt(t.Context(), b.secret, o) // interrupted, or not
		b.strike = nil
		for _, step := range []rota.Step{rota.StepNone, rota.StepDeactivate, rota.StepDelete} {
			b.now = b.now.Add(time.Hour)
			if _, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{Force: step}); err != nil {
				t.Fatal(err)
			}
			if !b.keys.Login(current) {
				t.Fatalf("call %d: %s took the key in use away", n, step)
			}
		}
		if _, err := b.rotator.Adopt(t.Context(), b.secret, o); err != nil && !errors.Is(err, rota.ErrAdopted) {
			t.Fatalf("call %d: again: %v", n, err)
		}
		contents, err := b.store.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range contents.Versions {
			if !v.Ours() {
				t.Errorf("call %d: %s is not taken over: %v", n, v.ID, v.Labels)
			}
		}
		if got := b.journal.Progress(b.secret.Name).NotBefore; !got.Equal(notBefore) {
			t.Errorf("call %d: put off until %s, want %s", n, got, notBefore)
		}
		if b.keys.Login(previous) && len(contents.Versions) == 1 {
			t.Errorf("call %d: the previous key is active and in no version", n)
		}
		if !struck {
			break
		}
	}
}

func TestAnAdoptionKeepsWhatWasAdoptedEarlier(t *testing.T) {
	b := newBench(t)
	first := b.keys.Plant()
	b.store.Plant("by-hand-1", first, rota.LabelCurrent)
	b.days(1)
	b.adopted(t)
	b.days(1)
	second := b.keys.Plant()
	b.store.Plant("by-hand-2", second, rota.LabelCurrent)
	b.days(1)
	b.adopted(t)
	got := labels(t, b.store)
	for label, c := range map[rota.Label]rota.Credential{rota.LabelAdoptedPrevious: first, rota.LabelAdopted: second} {
		if !strings.Contains(got, string(label)+"="+b.keys.CredentialID(c)) {
			t.Errorf("%s isn't on %s: %s", label, b.keys.CredentialID(c), got)
		}
	}
}

func TestAdoptingAPairTakesOverBothRoles(t *testing.T) {
	for name, test := range map[string]struct {
		known bool // the store knows the other role's password
		ours  bool
	}{
		"the other role logs in":                                {known: true, ours: true},
		"the other role has a password that isn't in the store": {},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			alt := memory.NewAlternating("app", "app_clone", memory.RolesOptions{Options: memory.Options{Now: b.rotator.Now}})
			b.secret.Issuer = alt
			b.store.Plant("by-hand-1", alt.Plant("app_clone", "made by hand 1"), rota.LabelCurrent)
			b.store.Plant("by-hand-2", alt.Plant("app", "made by hand 2"), rota.LabelCurrent)
			if !test.known {
				alt.Plant("app_clone", "made by hand 3")
			}
			b.days(1)
			b.adopted(t)
			contents, err := b.store.Describe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if v, _ := rota.Find(contents.Versions, rota.LabelPrevious); v.Ours() != test.ours {
				t.Errorf("the previous one is Rota's: %t, want %t", v.Ours(), test.ours)
			}
			if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{}); errors.Is(err, rota.ErrAdopted) != test.ours {
				t.Errorf("adopted again: %v", err)
			} else if !test.ours && rota.RemediesOf(err)[0].Verb != rota.VerbDelete {
				t.Errorf("the remedies are %v", rota.RemediesOf(err))
			}
		})
	}
}

func TestTheWaysOutOfTwoKeysThatArentRotas(t *testing.T) {
	for name, given := range map[string]func(t *testing.T) (*bench, rota.Credential){
		"neither is": func(t *testing.T) (*bench, rota.Credential) {
			b, _, current := leftBehind(t)
			return b, current
		},
		"the previous one isn't": func(t *testing.T) (*bench, rota.Credential) {
			b, _, current := leftBehind(t)
			if err := b.store.Move(t.Context(), rota.MoveRequest{Label: rota.LabelAdopted, To: "by-hand-2"}); err != nil {
				t.Fatal(err)
			}
			b.days(90)
			return b, current
		},
	} {
		t.Run(name, func(t *testing.T) {
			ways := 0
			for alternative := range 3 {
				b, current := given(t)
				if !(testenv.Operator{Rotator: b.rotator, Secret: b.secret, InUse: current, Wait: func() { b.days(1) }}).LeadOut(t, alternative) {
					continue
				}
				ways++
				if !b.keys.Login(current) {
					t.Error("the key in use doesn't log in any more")
				}
				for range 30 {
					b.days(7)
					b.advance(t, rotation.Options{})
				}
				if d := b.advance(t, rotation.Options{}).Last; d.Hold != rotation.HoldNone {
					t.Errorf("alternative %d: half a year later it's held: %s", alternative, d.Reason)
				}
			}
			if ways == 0 {
				t.Error("no way leads out")
			}
		})
	}
}

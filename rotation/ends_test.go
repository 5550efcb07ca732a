package rotation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// lasting makes a bench whose keys last that long each.
func lasting(t *testing.T, life time.Duration) *bench {
	b := newBench(t)
	b.keys = memory.NewAccessKeys(memory.AccessKeysOptions{Options: memory.Options{Now: b.rotator.Now}, Lasts: func(int) time.Duration { return life }})
	b.secret.Issuer = b.keys
	return b
}

func TestTheCheckSaysWhetherACredentialLasts(t *testing.T) {
	yearly, err := rotation.ParseWindow("0 9 1 12 *", 4*time.Hour, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		life    time.Duration
		policy  func(*rotation.Policy)
		adopted bool
		warning bool
		says    []string
	}{
		"it lasts":                                   {life: 200 * rota.Day, says: []string{"it expires at 2026-07-20"}},
		"it ends first":                              {life: 60 * rota.Day, warning: true, says: []string{"so it's rotated at 2026-02-17", "never reached", "rotate_every", "47d"}},
		"one made by hand ends first":                {life: 60 * rota.Day, adopted: true, says: []string{"so it's rotated at 2026-02-17", "sooner than the policy says"}},
		"it ends first, and no window comes":         {life: 60 * rota.Day, policy: func(p *rotation.Policy) { p.Window = yearly }, warning: true, says: []string{"in no window", "2026-02-23"}},
		"it ends before the previous one is retired": {life: 8 * rota.Day, warning: true, says: []string{"so it's rotated at 2026-01-06", "unused for 7d first, until after that"}},
		"it ends, and no rotation is scheduled":      {life: 60 * rota.Day, policy: func(p *rotation.Policy) { p.RotateEvery = 0 }, warning: true, says: []string{"no rotation is scheduled", "rota rotate"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := lasting(t, test.life)
			if test.adopted {
				if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: b.keys.Plant()}); err != nil {
					t.Fatal(err)
				}
			} else {
				b.advance(t, rotation.Options{})
			}
			if test.policy != nil {
				test.policy(&b.secret.Policy)
			}
			f := preflightOf(b, "issuer: "+b.keys.Keys()[0].ID+" lasts until the next rotation")
			if f.Warning != test.warning || f.OK == test.warning {
				t.Errorf("%+v", f)
			}
			text := hint.Add(f.Detail, f.Remedies)
			for _, want := range test.says {
				if !strings.Contains(text, want) {
					t.Errorf("%q doesn't say %q", text, want)
				}
			}
		})
	}
}

// A credential that ends is late sooner than the policy says, while there's still time.
func TestACredentialThatEndsIsLateInTime(t *testing.T) {
	due := at(40)
	s := rotation.Status{LookedAt: at(39), RotateAt: due, DueAt: due, ExpiresAt: due.Add(8 * time.Hour)}
	for after, want := range map[time.Duration]bool{4 * time.Hour: false, 4*time.Hour + time.Minute: true} {
		if _, late := rotation.Lateness(s, rotation.Policy{}, due.Add(after)); late != want {
			t.Errorf("%s after it's due, late is %v", after, late)
		}
	}
	s.ExpiresAt = due.Add(-time.Hour) // it ended before: the policy's own time counts
	if _, late := rotation.Lateness(s, rotation.Policy{}, due.Add(5*time.Hour)); late {
		t.Error("an account's end before the rotation makes that late")
	}
}

// The status knows the end between turns, and that it's what the next rotation is for.
func TestTheStatusShowsTheEnd(t *testing.T) {
	b := lasting(t, 60*rota.Day)
	res := b.advance(t, rotation.Options{})
	if want := b.now.Add(60 * rota.Day); !res.Status.ExpiresAt.Equal(want) || !res.Status.RotateAt.Equal(b.now.Add(47*rota.Day)) {
		t.Errorf("it ends at %s and is rotated at %s", res.Status.ExpiresAt, res.Status.RotateAt)
	}
	if !strings.Contains(res.Last.Reason, "rotate before it ends at 2026-03-02") {
		t.Errorf("it says %q", res.Last.Reason)
	}
}

// A credential that is made again and again without a later end isn't made for ever.
func TestAnEndThatNoRotationChangesEndsTheEarlyRotations(t *testing.T) {
	b := newBench(t)
	until := b.now.Add(60 * rota.Day)
	b.keys = memory.NewAccessKeys(memory.AccessKeysOptions{Options: memory.Options{Now: b.rotator.Now}, Lasts: func(int) time.Duration { return until.Sub(b.now) }})
	b.secret.Issuer = b.keys
	made := 0
	for range 59 {
		for _, d := range b.advance(t, rotation.Options{}).Done {
			if d.Step == rota.StepCreate {
				made++
			}
		}
		b.days(1)
	}
	if made != 2 {
		t.Errorf("%d were made, want the first and one more", made)
	}
}

// A projection rotates what's made later before its own end, too.
func TestAProjectionKnowsHowLongTheNextOnesLast(t *testing.T) {
	st := served()
	st.Issued[0].ExpiresAt = at(60)
	var due []time.Time
	for p := range rotation.Project(st, policy90, at(1), at(160)) {
		if p.Decision.Step == rota.StepCreate {
			due = append(due, p.At)
		}
	}
	if want := []time.Time{at(47), at(94), at(141)}; !slices.EqualFunc(due, want, time.Time.Equal) {
		t.Errorf("it rotates at %v, want %v", due, want)
	}
}

// However the policy's dates fall, the rotation is due before the end, no sooner
// than after a third of the credential's life, and a due date isn't moved by time.
func TestAnEarlyRotationIsDueBeforeTheEnd(t *testing.T) {
	window, err := rotation.ParseWindow("0 9 * * MON", 4*time.Hour, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		hours := rapid.IntRange(1, 24*200).Draw(t, "life in hours")
		life := time.Duration(hours) * time.Hour
		p := rotation.Policy{RotateEvery: 400 * rota.Day, DeactivatePreviousAfter: time.Duration(rapid.IntRange(0, 30).Draw(t, "grace")) * rota.Day}
		p.DeletePreviousAfter = p.DeactivatePreviousAfter
		p.Jitter = time.Duration(rapid.IntRange(0, 100).Draw(t, "jitter")) * rota.Day
		if rapid.Bool().Draw(t, "window") {
			p.Window = window
		}
		if rapid.Bool().Draw(t, "blackout") {
			from := rapid.IntRange(0, 200).Draw(t, "from")
			p.Blackouts = []rotation.Blackout{{From: at(from), Until: at(from + rapid.IntRange(1, 60).Draw(t, "days"))}}
		}
		st := served()
		st.Issued[0].ExpiresAt = day0.Add(life)
		d := rotation.Plan(st, p, day0)
		if d.Next != rota.StepCreate || !d.Due.Before(day0.Add(life)) || d.Due.Before(day0.Add(life/3)) {
			t.Fatalf("%s is due at %s, and it ends at %s", d.Next, d.Due, day0.Add(life))
		}
		if later := rotation.Plan(st, p, d.Due.Add(-time.Second)); !later.Due.Equal(d.Due) {
			t.Fatalf("it was due at %s, and then at %s", d.Due, later.Due)
		}
		if then := rotation.Plan(st, p, day0.Add(life)); then.Step != rota.StepCreate {
			t.Fatalf("it has ended, and it says %+v", then)
		}
	})
}

//go:build unix

package kill

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

const (
	kills    = 110 // at least this many
	inHand   = 40  // of which at least this many hit a rotation in flight
	patience = 10 * time.Minute
)

// tally counts what the kills hit.
type tally struct {
	kills, inHand, recoveries int
	last                      map[string]int // kills by the step that had started last
}

func TestNobodyIsLockedOutByAKill(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ROTA_KILL_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d (again: ROTA_KILL_SEED=%d)", seed, seed)
	w, random := newWorld(t), rand.New(rand.NewPCG(seed, 0))
	for _, secret := range []string{single, pair} {
		w.rota(done, "rotate", secret, "--yes")
		w.check(secret)
	}
	n := tally{last: map[string]int{}}
	victims := []*victim{
		{secret: single, args: []string{"rotate", single, "--yes"}},
		{secret: pair, args: []string{"rotate", pair, "--yes"}, prepare: w.retire},
		{secret: single, args: []string{"rotate", single, "--yes"}},
		{secret: pair, args: []string{"run", "--all"}, prepare: w.almostRetire},
		{secret: single, args: []string{"run"}, prepare: w.age},
		{secret: pair, args: []string{"rotate", pair, "--yes"}, prepare: w.retire},
	}
	for _, v := range victims {
		w.measure(v)
	}
	started := time.Now()
	for round := 0; n.kills < kills || n.inHand < inHand; round++ {
		if time.Since(started) > patience {
			t.Fatalf("after %s only %d kills, %d of them in hand", patience, n.kills, n.inHand)
		}
		w.round(&n, victims[round%len(victims)], random)
	}
	w.rota(doneOrHeld, "run", "--all")
	for _, secret := range []string{single, pair} {
		w.check(secret)
	}
	if verdict := read[struct {
		Verified bool `json:"verified"`
	}](w, "audit", "--verify"); !verdict.Verified {
		t.Error("the audit does not verify")
	}
	if t.Failed() {
		return
	}
	t.Logf("kills by the step that was begun last: %s", n.steps())
	t.Logf("count: kill -9: %d kills, %d hit a rotation in hand, %d recoveries, 0 lockouts", n.kills, n.inHand, n.recoveries)
}

// victim is a command that is killed at random moments over its whole duration.
type victim struct {
	secret  string
	args    []string
	prepare func() // nil if nothing needs to be done first
	// The time until its first effect, and until it ends.
	lead, length time.Duration
}

func (v *victim) ready() {
	if v.prepare != nil {
		v.prepare()
	}
}

// age waits until rota run would rotate the single role's password.
func (w *world) age() {
	for _, e := range slices.Backward(w.history(single)) {
		if e.Step == string(rota.StepCreate) {
			<-time.After(time.Until(e.At.Add(singleAge)))
			return
		}
	}
}

// almostRetire gets to the run that deactivates and deletes the pair's previous
// credential: two looks have seen no use, and this is the third.
func (w *world) almostRetire() {
	w.retire()
	w.rota(done, "rotate", pair, "--yes")
	w.rota(doneOrHeld, "run", "--all")
}

// retire runs until the pair's previous credential is gone.
func (w *world) retire() {
	w.Helper()
	for range 10 {
		if !w.retiring() {
			return
		}
		w.rota(doneOrHeld, "run", "--all")
	}
	w.Fatalf("the previous credential is not retired:\n%s", w.rota(done, "plan", pair))
}

// measure finds out how long an undisturbed command takes, and how long until
// its first effect.
func (w *world) measure(v *victim) {
	w.Helper()
	for range 2 {
		v.ready()
		started := time.Now()
		w.rota(doneOrHeld, v.args...)
		v.length = max(v.length, time.Since(started))
		for _, e := range w.history(v.secret) {
			if e.At.After(started) && e.Outcome == rotation.OutcomeBegun {
				v.lead = e.At.Sub(started)
				break
			}
		}
	}
	w.Logf("rota %s takes %s, %s of it to its first effect", strings.Join(v.args, " "), v.length, v.lead)
}

// moment is when to kill: anywhere from halfway to the first effect until the
// end. Before that there is little to break.
func (v *victim) moment(random *rand.Rand) time.Duration {
	first := v.lead / 2
	return first + time.Duration(random.Int64N(int64(v.length-first)))
}

// round kills a command, and sometimes its recovery too, and checks how
// consumers fare.
func (w *world) round(n *tally, v *victim, random *rand.Rand) {
	w.Helper()
	v.ready()
	killed := false
	for args := v.args; ; args = []string{"run"} {
		started := time.Now()
		if !w.strike(v.moment(random), args...) {
			break
		}
		killed = true
		n.kills++
		n.note(w.history(v.secret), started)
		w.meanwhile(v.secret)
		if random.IntN(4) > 0 {
			break
		}
	}
	if !killed {
		return
	}
	recovery := []string{"run"}
	if random.IntN(2) == 0 {
		recovery = []string{"rotate", v.secret, "--yes"}
	}
	w.rota(doneOrHeld, recovery...)
	w.check(v.secret)
	n.recoveries++
}

// note finds out what a kill hit, from what the audit says since the killed
// command started.
func (n *tally) note(history []rotation.Entry, started time.Time) {
	last, open := "none", false
	for _, e := range history {
		switch {
		case e.At.Before(started):
		case e.Outcome == rotation.OutcomeBegun:
			last, open = e.Step, true
		case e.Step == last:
			open = false
		}
	}
	if open {
		n.inHand++
	} else if last != "none" {
		last += ", and ended"
	}
	n.last[last]++
}

func (n *tally) steps() string {
	var b strings.Builder
	for i, step := range slices.Sorted(maps.Keys(n.last)) {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s %d", step, n.last[step])
	}
	return b.String()
}

// meanwhile checks the time between a kill and the recovery: what the pair's
// consumers hold works even then.
func (w *world) meanwhile(secret string) {
	w.Helper()
	fields := w.delivered(secret)
	if fields == nil {
		w.Fatalf("%s: the file is gone", secret)
	}
	if secret == pair {
		if err := w.login(fields); err != nil {
			w.Fatalf("%s: the delivered credential is dead before the recovery: %v", secret, err)
		}
	}
}

// check checks what must be true whenever no command is running.
func (w *world) check(secret string) {
	w.Helper()
	stored := w.stored(secret)
	if err := w.login(stored); err != nil {
		w.Errorf("lockout: %s: %v\n%s", secret, err, w.rota(done, "history", secret))
	}
	if diff := cmp.Diff(stored, w.delivered(secret)); diff != "" {
		w.Errorf("%s: the file has another credential than the store:\n%s", secret, diff)
	}
	w.look(secret)
	if w.Failed() {
		w.FailNow()
	}
}

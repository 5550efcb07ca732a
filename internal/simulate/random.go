package simulate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// newSubject makes a random secret: its issuer, policy, targets, reloaders and
// consumers.
func newSubject(w *world, i int, rng *rand.Rand) *subject {
	s := &subject{w: w, i: i, name: fmt.Sprintf("secret-%d", i), rng: rng, now: start.Add(time.Duration(i) * time.Second)}
	s.rare = rand.New(rand.NewPCG(w.options.Seed, 1<<32+uint64(i)))
	s.truth, s.denied = newTruth(), map[string]bool{}
	s.operator.choosy = s.chance(0.5)
	o := memory.Options{Now: s.clock, Faults: s.fault, Wait: s.wait, Observe: s.effect}
	s.journal = memory.NewJournal(o)
	s.store = memory.NewStore(o)
	s.randomIssuer(o)
	s.traits = s.issuer.Traits()
	s.policy = w.hooks.wrapPolicy(s.randomPolicy())
	s.secret = &rotation.Secret{Name: s.name, Issuer: s.watched(), Store: w.hooks.wrapStore(s.store), Policy: s.policy}
	for n := range rng.IntN(3) {
		o.System = fmt.Sprintf("target-%d", n)
		t := memory.NewTarget(o.System, o)
		s.targets = append(s.targets, t)
		s.secret.Targets = append(s.secret.Targets, t)
	}
	for n := range rng.IntN(3) {
		o.System = fmt.Sprintf("reloader-%d", n)
		r := memory.NewReloader(o.System, s.reload(n), o)
		s.secret.Reloaders = append(s.secret.Reloaders, w.hooks.wrapReloader(r))
	}
	if s.chance(0.4) {
		o.System = "check"
		s.secret.Checks = append(s.secret.Checks, memory.NewCheck("check", nil, o))
	}
	o.System = "notifier"
	s.secret.Notifiers = append(s.secret.Notifiers, memory.NewNotifier("notifier", o))
	s.truth.delivered = make([]string, len(s.targets))
	s.truth.reloaded = make([]string, len(s.secret.Reloaders))
	s.addConsumers()
	s.startSickness()
	s.startPeople()
	s.startDeadEnds()
	s.startTurns()
	s.startQuietChecks()
	return s
}

// sessionsOneIn is the number of secrets for each one whose credentials expire
// on their own. Those rotate much more often than the others.
const sessionsOneIn = 6

// tokensOneIn is how many secrets with keys there are for each whose keys Rota
// can't deactivate.
const tokensOneIn = 4

func (s *subject) randomIssuer(o memory.Options) {
	o.System = "issuer"
	refused := s.rng.IntN(5)
	if s.i%sessionsOneIn == sessionsOneIn-1 {
		s.temp = memory.NewSessions(memory.SessionsOptions{Options: o, RefusedLogins: refused, Lifetime: s.during(12*time.Hour, 5*rota.Day)})
		s.issuer = s.temp
		return
	}
	if s.i%rareOneIn >= rareOneIn-2 {
		s.rareIssuer(o, refused)
		return
	}
	switch s.rng.IntN(4) {
	case 0:
		s.pass = memory.NewPassword("app", memory.RolesOptions{Options: o, RefusedLogins: refused, Accept: s.accept})
		s.issuer = s.pass
	case 1:
		s.alt = memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: o, RefusedLogins: refused, Accept: s.accept})
		s.issuer = s.alt
	default:
		s.useLag = s.during(0, 4*time.Hour)
		options := memory.AccessKeysOptions{Options: o, RefusedLogins: refused, UseLag: s.useLag,
			Settle: time.Minute, ListLag: time.Duration(s.rng.IntN(20)) * time.Second}
		if (s.w.options.Seed+uint64(s.i))%endsOneIn == 1 {
			s.ending = &endingKeys{made: map[string]time.Time{}, end: map[string]time.Time{}}
			options.Lasts = s.lasts
		}
		if s.tokens = (s.w.options.Seed+uint64(s.i))%tokensOneIn == 0; s.tokens {
			s.keys = memory.NewTokens(options).All
		} else {
			s.keys = memory.NewAccessKeys(options)
		}
		s.issuer = s.keys
	}
}

// accept is a server's password policy that rejects one password in ten.
func (s *subject) accept(password string) error {
	if s.worker != nil && strings.ContainsAny(password[:1], "ABCDEF") {
		s.truth.disturbedAt = s.now
		return errors.New("the password is too weak: " + password)
	}
	return nil
}

// randomPolicy returns a random policy that passes Validate.
func (s *subject) randomPolicy() rotation.Policy {
	if life := s.traits.Lifetime; life > 0 {
		var p rotation.Policy
		if s.chance(0.5) {
			p.RotateEvery = s.during(life/4, life*3/4)
		}
		return p.ForLifetime(life)
	}
	for {
		every := time.Duration([]int{10, 14, 30, 30, 60, 90, 90}[s.rng.IntN(7)]) * rota.Day
		p := rotation.Policy{RotateEvery: every}
		p.DeactivatePreviousAfter = s.during(every/10, every/3).Truncate(time.Hour)
		p.DeletePreviousAfter = p.DeactivatePreviousAfter + s.during(0, every/3).Truncate(time.Hour)
		if s.chance(0.3) {
			p.Retire = rotation.RetireBeforeCreate
		}
		if s.chance(0.4) {
			p.UnusedFor = s.during(rota.Day, max(p.DeactivatePreviousAfter, 2*rota.Day)).Truncate(time.Hour)
		}
		if s.chance(0.4) {
			p.MaxAttempts = 4 + s.rng.IntN(15)
		}
		if s.chance(0.3) {
			p.Window = s.randomWindow()
		}
		if p.Validate(s.traits) == nil {
			return p
		}
	}
}

func (s *subject) randomWindow() *rotation.Window {
	spec := []string{"0 9 * * MON-FRI", "30 2 * * *", "0 22 * * SAT,TUE"}[s.rng.IntN(3)]
	zone := []string{"", "Europe/Berlin"}[s.rng.IntN(2)]
	w, err := rotation.ParseWindow(spec, s.during(2*time.Hour, 9*time.Hour).Truncate(time.Minute), zone)
	if err != nil {
		return nil // this machine doesn't know the time zone, so skip the window
	}
	return w
}

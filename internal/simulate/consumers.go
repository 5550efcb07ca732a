package simulate

import (
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// consumer uses the secret. It holds the value it last picked up and logs in
// with it periodically.
type consumer struct {
	name     string
	target   int           // the target it reads, -1 for the store
	reloader int           // the reloader that makes it pick up a new value, -1 for none
	reread   time.Duration // how often it reads on its own, 0 for never
	login    time.Duration // how often it logs in
	session  bool          // keeps a session open until it next picks up a value

	version    string
	credential rota.Credential
	takenAt    time.Time
	connected  string // the role of its open session
}

// addConsumers makes one to four consumers that rule 1 protects: they are
// reloaded, or read again within the overlap, or visibly use the old
// credential.
func (s *subject) addConsumers() {
	reloaders := len(s.secret.Reloaders)
	for n := range 1 + s.rng.IntN(3) + reloaders {
		c := &consumer{name: fmt.Sprintf("consumer-%d", n), target: s.rng.IntN(len(s.targets)+1) - 1, reloader: -1}
		c.login = s.during(12*time.Hour, 5*rota.Day)
		overlap := s.overlap()
		c.login = min(c.login, s.loginEvery())
		switch {
		case n < reloaders:
			c.reloader = n
		case s.keys != nil && s.ending == nil && s.chance(0.2):
			// A laggard, protected only by its visible use.
			c.reread, c.login = s.policy.RotateEvery/2, s.during(2*time.Hour, 6*time.Hour)
		case s.connects() != nil && s.chance(0.3):
			c.reread, c.session = s.policy.RotateEvery/2, true
		default:
			c.reread = s.during(min(time.Hour, overlap/2), overlap*9/10)
		}
		s.consumers = append(s.consumers, c)
		s.at(s.now.Add(s.during(0, c.login)), "login", func(context.Context) { s.loginOf(c) })
		if c.reread > 0 {
			s.at(s.now.Add(s.during(0, c.reread)), "reread", func(context.Context) { s.rereadOf(c) })
		}
	}
}

// loginEvery is the longest interval between a consumer's logins.
func (s *subject) loginEvery() time.Duration {
	if life := s.traits.Lifetime; life > 0 {
		return life / 4
	}
	return 5 * rota.Day
}

// overlap is the shortest time a previous credential stays valid.
func (s *subject) overlap() time.Duration {
	if life := s.traits.Lifetime; life > 0 {
		return life - s.policy.RotateEvery - 2*rotation.EndMargin
	}
	if s.ending != nil {
		return min(s.policy.DeactivatePreviousAfter/4, s.policy.RotateEvery/26) // what's left of a grace that's cut short
	}
	if s.policy.Retire == rotation.RetireBeforeCreate {
		return s.policy.RotateEvery / 2
	}
	return s.policy.DeactivatePreviousAfter
}

func (s *subject) rereadOf(c *consumer) {
	s.takeUp(c)
	s.at(s.now.Add(c.reread), "reread", func(context.Context) { s.rereadOf(c) })
}

// takeUp reads the value currently served to the consumer.
func (s *subject) takeUp(c *consumer) {
	version, credential, ok := s.store.Read(rota.LabelCurrent)
	if c.target >= 0 {
		var got rota.DeliverRequest
		if got, ok = s.targets[c.target].Current(); ok {
			version, credential = got.Version, got.Credential
		}
	}
	if !ok || s.truth.broken[version] {
		return // a consumer that finds half a credential keeps its old one
	}
	s.checkWhole(version, credential)
	changed := c.version != version
	c.version, c.credential, c.takenAt = version, credential, s.now
	if s.connects() == nil || !c.session || !changed {
		return
	}
	if c.connected != "" {
		s.connects().Disconnect(c.connected)
		c.connected = ""
	}
	if s.connects().Connect(credential) {
		c.connected = s.issuer.CredentialID(credential)
	}
}

func (s *subject) loginOf(c *consumer) {
	s.probe(c)
	if c.session && c.connected == "" && s.connects().Connect(c.credential) {
		c.connected = s.issuer.CredentialID(c.credential)
	}
	s.at(s.now.Add(c.login), "login", func(context.Context) { s.loginOf(c) })
}

// probe logs in as the consumer, checking rule 1.
func (s *subject) probe(c *consumer) {
	if c.credential.IsZero() {
		return
	}
	s.w.result.Logins++
	s.checkGap()
	if s.issuer.Login(c.credential) {
		return
	}
	if s.excused(c) {
		return
	}
	s.violate(1, "%s cannot log in with %s of version %s, which it took up at %s",
		c.name, s.issuer.CredentialID(c.credential), c.version, stamp(c.takenAt))
}

// excused reports whether the consumer can be locked out: because of a person
// or, if there is no overlap, between setting and picking up.
func (s *subject) excused(c *consumer) bool {
	t := &s.truth
	if t.personBroke || t.forcedOff[proof(c.credential)] {
		return true
	}
	if s.traits.Lifetime > 0 {
		return s.outlived(c) || s.lapsed(c)
	}
	if id := s.issuer.CredentialID(c.credential); s.ended(id) {
		return !s.calmBefore(id)
	}
	if s.traits.Overlap() {
		return false
	}
	// One that read just as the next one was served, and read the one before it,
	// has it until it reads again.
	late := c.takenAt.Before(t.servedAt) || c.takenAt.Equal(t.servedAt) && !t.isCurrent(c.version)
	return t.gap || (c.reloader < 0 && late) || c.takenAt.Before(t.personAt)
}

// outlived reports whether an expiring credential couldn't be renewed in time,
// because faults or people interfered for longer than its lifetime.
func (s *subject) outlived(c *consumer) bool {
	end := c.credential.ExpiresAt()
	return !s.now.Before(end) && s.w.faultySince(s.now.Add(-patience-s.traits.Lifetime), s.now)
}

// probeAll makes every consumer log in, after a change at the issuer.
func (s *subject) probeAll() {
	s.quietly(func() {
		for _, c := range s.consumers {
			s.probe(c)
		}
	})
}

// reload is what the n-th reloader does: its consumers pick up the value and
// must be healthy.
func (s *subject) reload(n int) func(rota.ReloadRequest) error {
	return func(r rota.ReloadRequest) error {
		var err error
		s.quietly(func() {
			for _, c := range s.consumers {
				if c.reloader != n {
					continue
				}
				s.takeUp(c)
				if !s.issuer.Login(c.credential) {
					err = fmt.Errorf("%s is not healthy", c.name)
				}
			}
		})
		if err == nil {
			s.truth.reloaded[n] = r.Version
		}
		return err
	}
}

func stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05") }

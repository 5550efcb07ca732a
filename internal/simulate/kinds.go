package simulate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
)

// Rarer kinds of issuers, and what the rules mean for them:
//
//   - only: making the next credential ends the one in use. Consumers are without one
//     that works from that call until they have the next one, and only then (rule 1).
//     An answer that's lost leaves one orphan, the next credential is made from it, and
//     from nothing that a person made (rules 2 and 3). Nothing is deleted (rule 4).
//   - kept: the issuer shows the credential in force. One that was replaced outside is
//     taken over within a day, and no other is made (rules 3 and 13).
//   - temp, if it's revocable: a credential that hasn't expired is revoked only if it
//     was given up, or if a person asks (rule 4). Half of these end soon unless they're
//     renewed: see leases.go.
//   - hashed: the list names what this process has seen. A restart changes nothing about
//     what's whose (rules 3 and 4).

// rareOneIn is how many secrets there are for each two whose issuer is one of these.
const rareOneIn = 8

// rareIssuer makes each kind in turn, so that four seeds have all of them twice.
func (s *subject) rareIssuer(o memory.Options, refused int) {
	switch (s.w.options.Seed*2 + uint64(s.i)) % 4 {
	case 0:
		s.only = memory.NewReplacing(memory.ReplacingOptions{Options: o, RefusedLogins: refused, Settle: time.Minute, ListLag: time.Duration(s.rng.IntN(20)) * time.Second})
		s.issuer = s.only
	case 1:
		s.kept = memory.NewKeeping("app", memory.KeepingOptions{Options: o})
		s.issuer = s.kept
	case 2:
		s.hashed, s.tokens = memory.NewHashed("app", memory.RolesOptions{Options: o, RefusedLogins: refused, Accept: s.accept}), true
		s.issuer = unseen{s.hashed}
	default:
		options := memory.SessionsOptions{Options: o, RefusedLogins: refused, Revocable: true, Lifetime: s.during(12*time.Hour, 5*rota.Day)}
		if s.w.options.Seed/2%2 == 0 {
			s.lease(&options)
		}
		s.temp = memory.NewSessions(options)
		s.issuer = s.temp
	}
}

// unseen is the account for everyone but Rota: asking for an id teaches Rota's process
// nothing.
type unseen struct{ *memory.Hashed }

func (u unseen) CredentialID(c rota.Credential) string { return u.ID(c) }

// connector is an issuer at which consumers can keep sessions open.
type connector interface {
	Connect(c rota.Credential) bool
	Disconnect(id string)
}

// connects returns the secret's issuer if it's a connector.
func (s *subject) connects() connector {
	c, _ := s.issuer.(connector)
	return c
}

// The interfaces of the rarer issuers.
type (
	tokenIssuer interface {
		rota.Issuer
		rota.Lister
		rota.UseReporter
	}
	tellingIssuer interface {
		rota.Issuer
		rota.Teller
	}
	hashedIssuer interface {
		tokenIssuer
		rota.Teller
	}
)

type watchedKept struct {
	watchedPlain
	rota.Teller
}

type watchedHashed struct {
	watchedTokens
	rota.Teller
}

// A fullX is an issuer that watchedKeys takes. It's never asked to deactivate anything.
type (
	fullHashed    struct{ *memory.Hashed }
	fullReplacing struct{ *memory.Replacing }
)

func (fullHashed) Deactivate(context.Context, rota.RetireRequest) error    { return rota.ErrConflict }
func (fullHashed) Reactivate(context.Context, rota.RetireRequest) error    { return rota.ErrConflict }
func (fullReplacing) Deactivate(context.Context, rota.RetireRequest) error { return rota.ErrConflict }
func (fullReplacing) Reactivate(context.Context, rota.RetireRequest) error { return rota.ErrConflict }

// changes reports whether a person can change the credential in use in place.
func (s *subject) changes() bool {
	return s.pass != nil || s.kept != nil || s.hashed != nil || s.only != nil && !s.doubtful()
}

// plant is a person's replacement of the credential in use.
func (s *subject) plant(password string) {
	s.truth.personPassword = s.hashed == nil // beside which there's a place for Rota's
	switch {
	case s.pass != nil:
		s.people.made = s.pass.Plant("app", password)
	case s.kept != nil:
		s.people.made = s.kept.Plant()
	case s.only != nil:
		s.people.made = s.only.Plant()
	case s.hashed != nil:
		if has := s.hashed.Keys(); len(has) > 0 {
			s.lockOut(has[0].ID)
		}
		s.people.made = s.hashed.Plant(password)
	}
}

// addByHand adds a second password, if there's a place.
func (s *subject) addByHand() {
	if s.doubtful() {
		return
	}
	s.people.versions++
	if c, added := s.hashed.Add(fmt.Sprintf("made by hand %s %d", s.name, s.people.versions)); added {
		s.did("foreign key")
		s.people.made = c
	}
}

// lateCreate is a call of Rota's that takes effect after Rota has stopped waiting.
func (s *subject) lateCreate(ctx context.Context, r rota.CreateRequest) {
	made, err := s.issuer.Create(ctx, r)
	if err != nil {
		return
	}
	s.note("late create", s.issuer.CredentialID(made), "")
	s.truth.disturbedAt = s.now
	s.made(s.issuer.CredentialID(made))
}

// made follows the creation of a credential for Rota.
func (s *subject) made(id string) {
	s.truth.mine[id] = true
	if s.only != nil || s.kept != nil {
		s.truth.personPassword = false
		s.opensGap()
	}
}

// opensGap notes that consumers may hold a credential that's dead by now.
func (s *subject) opensGap() {
	if t := &s.truth; !s.traits.Overlap() && !t.gap {
		t.gap, t.gapSince = true, s.now
	}
}

// followPut notes that Rota has the value that a person had the issuer choose.
func (s *subject) followPut(version string) {
	if s.kept == nil || s.worker == nil {
		return
	}
	s.noteValue(version)
	if s.truth.values[version] == proof(s.kept.Now()) {
		s.truth.personPassword = false
	}
}

// gapAtMost is how long the steps from the call to the delivery take, without faults.
const gapAtMost = time.Hour

// checkGap checks rule 1 where there's no overlap: the gap is short, unless faults,
// a missing permission, people or the daemon's downtime made it longer.
func (s *subject) checkGap() {
	t := &s.truth
	if !t.gap || s.w.faultySince(t.gapSince.Add(-patience), s.now) || len(s.denied) > 0 || s.w.upAt(t.gapSince).After(t.gapSince) {
		return
	}
	since := t.gapSince
	if t.grantedAt.After(since) { // nothing could be delivered before
		since = t.grantedAt
	}
	if s.now.Sub(since) > gapAtMost {
		s.violate(1, "consumers have been without a credential since %s", stamp(t.gapSince))
	}
}

// checkReplaces checks rule 3 for a credential that ends another one.
func (s *subject) checkReplaces(r rota.CreateRequest) {
	k := s.worker
	if s.only == nil || k == nil || r.Replaces == "" {
		return
	}
	if !s.truth.mine[r.Replaces] {
		s.violate(3, "%s would be replaced, but a person made it", r.Replaces)
	}
	if !s.truth.gap { // else the one before was lost
		s.checkDue(k)
	}
}

// checkTakesOver checks rule 3 where the issuer shows the credential in force: what a
// person had it choose isn't replaced unless a person asks.
func (s *subject) checkTakesOver(k *worker) {
	if s.kept != nil && s.truth.personPassword && k.force != rota.StepCreate && !s.isAsked() {
		s.violate(3, "another value is made, though a person has replaced the current one and the issuer shows theirs")
	}
}

// checkDeleteOnly checks rule 4 where there's only one credential.
func (s *subject) checkDeleteOnly(id string) {
	if s.only != nil && s.active(id) {
		s.violate(4, "%s would be deleted, and it's the only one there is", id)
	}
}

// checkRevoke checks rule 4 for a credential that hasn't expired.
func (s *subject) checkRevoke(k *worker, id string) {
	if k.force != rota.StepDelete {
		s.violate(4, "%s would be revoked before it expires, and nobody asked for that", id)
	}
	if s.truth.served != s.truth.current || slices.ContainsFunc(s.truth.delivered, func(v string) bool { return v != s.truth.current }) {
		s.violate(4, "%s would be revoked before its successor is served", id)
	}
}

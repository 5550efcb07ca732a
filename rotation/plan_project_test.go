package rotation_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// maxIdleTurns is how often a projection may plan without saying anything: some
// waits follow each other, as for a neighbor, a window and a blackout.
const maxIdleTurns = 12

// turnsBounded fails if a projection plans more often than what it says needs, or says
// the same thing twice in a row.
func turnsBounded(t rapid.TB, st rotation.State, p rotation.Policy, from, until time.Time) {
	t.Helper()
	turns, planned := rotation.Turns(st, p, from, until)
	if turns < len(planned) {
		t.Errorf("it planned %d times to say %d things", turns, len(planned))
	}
	if limit := maxIdleTurns * (len(planned) + 1); turns > limit {
		t.Errorf("it planned %d times to say %d things", turns, len(planned))
	}
	for i, d := range planned {
		if i == 0 {
			continue
		}
		before := planned[i-1]
		if d.At.Equal(before.At) && d.Decision.Step == before.Decision.Step && d.Decision.Hold == before.Decision.Hold &&
			d.Decision.Version == before.Decision.Version && d.Decision.Credential == before.Decision.Credential {
			t.Errorf("it says the same twice at %s: %+v", d.At, d.Decision)
			return
		}
	}
}

// What a look might see and what isn't said don't keep a projection busy.
func TestAProjectionPassesOverLooks(t *testing.T) {
	apart := rotation.Apart{Secret: "other", By: 12 * time.Hour}
	sampled := rota.Use{Evidence: rota.EvidenceSampled}
	for name, s := range map[string]situation{
		"use is sampled every second":        sit("", rotated(sampled), at(91), policy(func(p *rotation.Policy) { p.UnusedFor = time.Second })),
		"use is sampled, and there is some":  sit("", rotated(rota.Use{Evidence: rota.EvidenceSampled, At: at(91)}), at(91), policy(func(p *rotation.Policy) { p.UnusedFor = time.Second })),
		"use is sampled before a deletion":   sit("", rotated(sampled), at(91), state(undeactivating), policy(func(p *rotation.Policy) { p.UnusedFor = time.Second })),
		"use is sampled within a turn":       sit("", rotated(sampled), at(101), state(func(s *rotation.State) { s.Chain = rotation.Lifecycle })),
		"a neighbor is being rotated":        sit("", served(), at(90), state(func(s *rotation.State) { s.Peers = []rotation.Peer{{Apart: apart, BegunAt: at(90)}} })),
		"a neighbor goes first":              sit("", served(), at(90), state(func(s *rotation.State) { s.Peers = []rotation.Peer{{Apart: apart, RotateAt: at(90)}} })),
		"a person has just asked for a step": sit("", served(), at(90), state(func(s *rotation.State) { s.Requested = rota.StepDeactivate })),
		"the current one isn't verified for an hour": sit("", served(), at(10), single, state(func(s *rotation.State) {
			s.Tells, s.Unverified = true, &rotation.Unverified{Since: at(10)}
		})),
	} {
		t.Run(name, func(t *testing.T) {
			turnsBounded(t, s.state, s.policy, s.now, at(2000))
			if _, planned := rotation.Turns(s.state, s.policy, s.now, at(400)); len(planned) < 2 {
				t.Errorf("it says %+v only", planned)
			}
		})
	}
}

func TestAProjectionEndsAfterTenThousandThings(t *testing.T) {
	s := sit("", served(), at(10), single, policy(func(p *rotation.Policy) { p.RotateEvery = time.Hour }))
	if _, planned := rotation.Turns(s.state, s.policy, s.now, at(10000)); len(planned) != 10_000 {
		t.Errorf("it says %d things", len(planned))
	}
}

func TestProjectionsAreBounded(t *testing.T) {
	for _, s := range situations() {
		turnsBounded(t, s.state, s.policy, s.now, at(2000))
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(situations()).Draw(t, "situation")
		span := func(name string, all ...time.Duration) time.Duration { return rapid.SampledFrom(all).Draw(t, name) }
		p := &s.policy
		p.RotateEvery = span("every", 0, 2*time.Second, time.Hour, rota.Day, 90*rota.Day)
		p.UnusedFor = span("unused for", 0, 1, time.Second, time.Minute, rota.Day)
		p.DeactivatePreviousAfter = span("deactivate", 0, time.Second, rota.Day, 10*rota.Day)
		p.DeletePreviousAfter = p.DeactivatePreviousAfter + span("delete", 0, time.Second, rota.Day, 10*rota.Day)
		p.Jitter = span("jitter", 0, time.Hour)
		p.Retire = rapid.SampledFrom([]rotation.RetireStyle{rotation.RetireAfterGrace, rotation.RetireBeforeCreate}).Draw(t, "retire")
		if rapid.Bool().Draw(t, "window") {
			w, err := rotation.ParseWindow("0 9 * * MON", time.Hour, "UTC")
			if err != nil {
				t.Fatal(err)
			}
			p.Window = w
		}
		for range rapid.IntRange(0, 2).Draw(t, "blackouts") {
			from := s.now.Add(span("from", 0, time.Hour, 20*rota.Day))
			p.Blackouts = append(p.Blackouts, rotation.Blackout{From: from, Until: from.Add(span("for", time.Hour, 9*rota.Day))})
		}
		for range rapid.IntRange(0, 2).Draw(t, "peers") {
			peer := rotation.Peer{Apart: rotation.Apart{Secret: rapid.SampledFrom([]string{"a", "z"}).Draw(t, "peer"), By: span("apart by", time.Hour, rota.Day)}}
			switch rapid.IntRange(0, 2).Draw(t, "peer is") {
			case 0:
				peer.BegunAt = s.now
			case 1:
				peer.RotateAt = s.now.Add(span("due in", 0, time.Minute, 30*rota.Day))
			default:
				peer.IssuedAt = s.now.Add(-span("issued ago", 0, time.Minute))
			}
			s.state.Peers = append(s.state.Peers, peer)
		}
		s.state.Issued = append([]rota.Issued(nil), s.state.Issued...)
		for i := range s.state.Issued {
			s.state.Issued[i].Use.Evidence = rapid.SampledFrom([]rota.Evidence{rota.EvidenceRecorded, rota.EvidenceSampled, rota.EvidenceUnknown}).Draw(t, "evidence")
			s.state.Issued[i].Use.At = s.now.Add(-span("used ago", -time.Minute, 0, time.Hour, 90*rota.Day))
		}
		s.state.Requested = rapid.SampledFrom([]rota.Step{rota.StepNone, rota.StepCreate, rota.StepDeactivate, rota.StepDelete}).Draw(t, "requested")
		if rapid.Bool().Draw(t, "asked") {
			s.state.Force = s.state.Requested
		}
		if s.state.Driver == nil && rapid.Bool().Draw(t, "by an event") {
			s.state.Chain = rotation.Lifecycle
		}
		turnsBounded(t, s.state, s.policy, s.now, s.now.Add(100*rota.Day))
	})
}

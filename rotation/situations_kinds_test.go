package rotation_test

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// replacing makes the credentials tokens of which there's one at a time: the next one
// is made from the one in use.
func replacing(s *situation) {
	s.state.Traits = rota.Traits{Kind: "token", IssuerChooses: true, Limit: 1, Replaces: true, ConsistencyDelay: 10 * time.Second}
	s.state.CanDeactivate = false
}

// showing makes the credential a password that the issuer shows whenever it's asked.
func showing(s *situation) {
	s.state.Traits = rota.Traits{Kind: "kept password", IssuerChooses: true, Limit: 1, FromCurrent: true, Readable: true}
	s.state.Lists, s.state.Listed, s.state.Issued, s.state.CanDeactivate = false, false, nil, false
	s.state.Tells, s.state.Told = true, true
}

// hashing makes the credentials passwords of one account that the issuer tells only
// by their values.
func hashing(s *situation) {
	s.state.Traits = rota.Traits{Kind: "hashed password", Limit: 2, ListsByValue: true}
	s.state.CanDeactivate = false
	for i := range s.state.Issued {
		s.state.Issued[i].CreatedAt = time.Time{}
	}
}

// kinds are those of issuers that replace, show or hash what they issue.
func kinds() []situation {
	lost := func(id string) []change {
		return []change{gone("A"), issued(id, func(i *rota.Issued) { i.CreatedAt = at(90).Add(time.Second) }), progress(func(p *rotation.Progress) {
			p.Intents = []rotation.Intent{{Version: "rota-lost", At: at(90), Until: at(90).Add(5 * time.Second), Known: []string{"A"}}}
		})}
	}
	with := func(all []change, more ...change) []change { return append(append([]change{}, all...), more...) }
	drifted := state(func(s *rotation.State) { s.Drifted = true })
	return []situation{
		sit("a token that's replaced, and there's none yet", empty(), day0, replacing),
		sit("a token that's replaced, and somebody has one", empty(), day0, replacing, issued("X", func(*rota.Issued) {})),
		sit("an old token that's replaced", served(), at(90), replacing),
		sit("the current token was revoked", served(), at(10), replacing, gone("A")),
		sit("somebody has replaced the current token", served(), at(10), replacing, gone("A"), issued("X", func(*rota.Issued) {})),
		sit("the answer with the next token was lost moments ago", served(), at(90).Add(8*time.Second), with(lost("L"), replacing)...),
		sit("the answer with the next token was lost a minute ago", served(), at(90).Add(time.Minute), with(lost("L"), replacing)...),
		sit("the answer with the next token was lost, and another one was made of it since", served(), at(90).Add(time.Minute),
			with(lost("L"), replacing, progress(func(p *rotation.Progress) {
				p.Intents = append(p.Intents, rotation.Intent{Version: "rota-1", At: at(90).Add(50 * time.Second), Until: at(90).Add(50 * time.Second), Answer: "A"})
			}), version(rota.LabelCurrent, func(v *rota.Version) { v.CreatedAt = at(90).Add(50 * time.Second) }))...),
		sit("the next token fails its test", served(), at(90).Add(time.Hour), replacing, gone("A"), issued("B", func(*rota.Issued) {}),
			pending("B", 90, func(*rotation.VersionProgress) {}), failure(rota.StepTest, 3, at(90))),
		sit("the next token was revoked before it was in use", served(), at(90).Add(time.Hour), replacing, gone("A"),
			pending("B", 90, func(*rotation.VersionProgress) {}), failure(rota.StepTest, 3, at(90))),
		sit("a shown password, and there's none yet", empty(), day0, showing),
		sit("an old password that's shown", served(), at(90), showing),
		sit("a shown password was replaced outside", served(), at(10), showing, drifted),
		sit("a shown password was replaced outside, and nobody has asked", served(), at(10), showing, state(func(s *rotation.State) { s.Told = false })),
		sit("a shown password was replaced outside, and a target has yet to get the current one", served(), at(10), showing, drifted, state(func(s *rotation.State) { s.Targets = []string{"t"} })),
		sit("a target has yet to get a shown password, and nobody has asked whether that's in force", served(), at(10), showing, state(func(s *rotation.State) { s.Targets, s.Told = []string{"t"}, false })),
		sit("a shown password was replaced outside, and everything is paused", served(), at(10), showing, drifted, state(func(s *rotation.State) { s.Halts.Paused = &rotation.Halt{By: "ana", At: at(9)} })),
		sit("an old password that's hashed", served(), at(90), hashing),
		sit("an old password that's hashed, and a stranger's beside it", served(), at(90), hashing, issued("app:unknown-1", func(*rota.Issued) {})),
		sit("the previous of two hashed passwords, and sessions of either", rotated(rota.Use{Evidence: rota.EvidenceSampled, At: at(110), Ambiguous: true}), at(110), hashing),
	}
}

package rotation_test

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// only makes the credential a token of which there's one: making the next ends it.
func only(s *situation) {
	s.state.Traits = rota.Traits{Kind: "token", IssuerChooses: true, Limit: 1, Replaces: true, ConsistencyDelay: 10 * time.Second}
	s.state.CanDeactivate = false
}

// shown makes the credential a password that the issuer chooses and shows to whoever asks.
func shown(s *situation) {
	s.state.Traits = rota.Traits{Kind: "kept password", IssuerChooses: true, Limit: 1, FromCurrent: true, Readable: true}
	unlisting(&s.state)
	s.state.CanDeactivate = false
	for i := range s.state.Contents.Versions {
		s.state.Contents.Versions[i].CredentialID = "A"
	}
}

// revocable makes credentials that end by themselves ones that can be ended before.
func revocable(s *situation) {
	expiring(s)
	s.state.Traits.Revocable = true
}

// oneWays are those in which nothing brings back the credential in use once the next
// one is made, and those of credentials that end both by themselves and on request.
func oneWays() []situation {
	fresh := func(*rotation.VersionProgress) {}
	lost := progress(func(p *rotation.Progress) {
		p.Intents = append(p.Intents, rotation.Intent{Version: "rota-lost", At: at(90), Until: at(90).Add(5 * time.Second), Known: []string{"A"}})
	})
	orphan := issued("O", func(i *rota.Issued) { i.CreatedAt = at(90) })
	another := func(v rota.Version) change {
		return state(func(s *rotation.State) { s.Contents.Versions = append(s.Contents.Versions, v) })
	}
	calledOff := another(rota.Version{ID: "rota-9", Labels: []rota.Label{rota.LabelMade("rota-9")}, CreatedAt: at(89), CredentialID: "C"})
	stranger := issued("X", func(i *rota.Issued) { i.CreatedAt = at(3) })
	made := issued("C", func(i *rota.Issued) { i.CreatedAt = at(89) })
	targets := state(func(s *rotation.State) { s.Targets = []string{"t"} })
	// waited is a creation that failed for lack of an answer.
	waited := func(attempts int, ago, retry time.Duration) change {
		return func(s *situation) {
			s.state.Progress.Failure = &rotation.Failure{Step: rota.StepCreate, Class: rota.ClassWait, Error: "no answer", At: s.now.Add(-ago), Attempts: attempts, RetryAt: s.now.Add(retry)}
		}
	}
	untested := func(step rota.Step) change {
		return progress(func(p *rotation.Progress) {
			p.Failure = &rotation.Failure{Step: step, Class: rota.ClassWait, Error: "refused", At: at(90), Attempts: 1, RetryAt: at(90)}
		})
	}
	drifted := state(func(s *rotation.State) { s.Tells, s.Told, s.Drifted = true, true, true })
	asks := state(func(s *rotation.State) { s.Tells = true })
	rejected := func(vp *rotation.VersionProgress) { vp.Rejected = "test failed" }
	paused := state(func(s *rotation.State) { s.Halts.Paused = &rotation.Halt{By: "ana", At: at(9)} })
	unready := state(func(s *rotation.State) {
		s.Proves, s.Proven, s.Unready = true, true, []rotation.Unready{{Reason: "no disk"}}
	})
	replaced := func() rotation.State {
		st := rotated(never)
		st.Contents.Versions[1].CreatedAt = at(20)
		st.Progress.Versions["rota-2"] = rotation.VersionProgress{CredentialID: "B", PromotedAt: at(20), ServedAt: at(20)}
		return st
	}
	later := at(90).Add(time.Minute)
	return []situation{
		// A token of which there's one.
		sit("the only token is young", served(), at(10), only),
		sit("the only token is old", served(), at(90), only),
		sit("the only token is old, and the list isn't known", served(), at(90), only, state(unasked)),
		sit("the store has no token, and the issuer has one", empty(), day0, only, stranger),
		sit("the store has no token, and the issuer has none", empty(), day0, only),
		sit("the store has no token, and the issuer can't list", empty(), day0, only, state(unlisting)),
		sit("the store's token can't be told, and the issuer has one", served(), at(90), only, stranger, version(rota.LabelCurrent, func(v *rota.Version) { v.CredentialID = rota.NoCredential })),
		sit("the only token is gone", served(), at(90), only, gone("A")),
		sit("the only token is gone, and the issuer has another", served(), at(90), only, gone("A"), stranger),
		sit("the only token is inactive", served(), at(90), only, issued("A", inactive)),
		sit("the only token was promoted just now, and the list doesn't show it", served(), day0.Add(5*time.Second), only, gone("A")),
		sit("the token before is dead", rotated(never), at(100), only, gone("A")),
		sit("the next token has to be tested", served(), at(90), only, gone("A"), made, pending("C", 90, fresh)),
		sit("the next token failed its test", served(), at(91), only, gone("A"), made, pending("C", 90, fresh), untested(rota.StepTest)),
		sit("the next token failed its test, and was ended", served(), at(91), only, gone("A"), pending("C", 90, fresh), untested(rota.StepTest)),
		sit("the next token failed its test, and is inactive", served(), at(91), only, gone("A"), made, issued("C", inactive), pending("C", 90, fresh), untested(rota.StepTest)),
		sit("the next token failed its test just now, and the list may not show it yet", served(), at(90).Add(5*time.Second), only, gone("A"), pending("C", 90, fresh), untested(rota.StepTest)),
		sit("the next token failed its test, and the list isn't known", served(), at(91), only, state(unasked), pending("C", 90, fresh), untested(rota.StepTest)),
		sit("the next token failed its test, and the issuer can't list", served(), at(91), only, state(unlisting), pending("C", 90, fresh), untested(rota.StepTest)),
		sit("the next token was ended, and another step failed", served(), at(91), only, gone("A"), pending("C", 90, fresh), untested(rota.StepDeliver)),
		sit("the next token was ended, and nothing failed", served(), at(91), only, gone("A"), pending("C", 90, fresh)),
		sit("one key of two failed its test, and is gone", served(), at(91), pending("C", 90, fresh), untested(rota.StepTest)),
		sit("a driver tests the next token, which was ended", served(), at(91), only, gone("A"), drive(rota.StepTest, plainly), untested(rota.StepTest)),
		// Its value was lost.
		sit("the answer with the next token was lost", served(), later, only, gone("A"), orphan, lost),
		sit("the answer with the next token was lost, and its targets are behind", served(), later, only, gone("A"), orphan, lost, targets),
		sit("the answer with the next token was lost just now", served(), at(90).Add(6*time.Second), only, gone("A"), orphan, lost),
		sit("the answer with the next token was lost, and the old one is still active", served(), later, only, orphan, lost),
		sit("the answer with the next token was lost, which is inactive", served(), later, only, gone("A"), orphan, issued("O", inactive), lost),
		sit("the answer with the next token was lost, and a stranger's comes first", served(), later, only, gone("A"), stranger, orphan, lost),
		sit("the answer with the next token was lost, and it's paused", served(), later, only, gone("A"), orphan, lost, paused),
		sit("the answer with the next token was lost, and the next steps would fail", served(), later, only, gone("A"), orphan, lost, unready),
		sit("a driver creates, and the answer with the last token was lost", served(), later, only, gone("A"), orphan, lost, drive(rota.StepCreate, plainly)),
		sit("the answer was lost just now, after one failure", served(), later, only, gone("A"), orphan, lost, waited(1, 10*time.Second, time.Hour)),
		sit("the answer was lost half a minute ago, after many failures", served(), later, only, gone("A"), orphan, lost, waited(40, 30*time.Second, 6*time.Hour)),
		sit("the answer was lost, and the policy's test is longer", served(), later, only, gone("A"), orphan, lost, waited(40, 30*time.Second, 6*time.Hour), policy(func(p *rotation.Policy) { p.TestWithin = time.Minute })),
		sit("the answer was lost, and the retry comes sooner anyway", served(), later, only, gone("A"), orphan, lost, waited(1, 10*time.Second, 5*time.Second)),
		sit("the answer was lost, and creating is denied", served(), later, only, gone("A"), orphan, lost, waited(2, 40*time.Second, time.Hour), progress(func(p *rotation.Progress) { p.Failure.Class = rota.ClassStop })),
		sit("the answer was lost, and creating is denied for the last time", served(), later, only, gone("A"), orphan, lost, waited(40, 40*time.Second, time.Hour), progress(func(p *rotation.Progress) { p.Failure.Class = rota.ClassStop })),
		sit("an older answer was lost, and the last call made nothing", served(), later, only, gone("A"), orphan, lost, waited(40, time.Minute, 6*time.Hour), progress(func(p *rotation.Progress) {
			p.Intents = append(p.Intents, rotation.Intent{Version: "rota-later", At: at(95), Until: at(95), Known: []string{"O"}})
		})),
		sit("the last call's token has its mark, but not its date", served(), later, only, gone("A"), issued("O", func(i *rota.Issued) { i.Mark, i.CreatedAt = "rota-lost", at(3) }), lost, waited(40, 30*time.Second, 6*time.Hour)),
		sit("no answer was lost, and creating failed too often", served(), at(90), only, waited(40, time.Minute, 6*time.Hour)),
		sit("no answer was lost, and creating failed just now", served(), at(90), only, waited(1, 30*time.Second, time.Hour)),
		sit("the answer was lost, and delivering the old one failed", served(), later, only, gone("A"), orphan, lost, targets, failure(rota.StepDeliver, 3, later)),
		sit("the answer was lost, the old one is still active, and delivering it failed", served(), later, only, orphan, lost, targets, failure(rota.StepDeliver, 3, later)),
		sit("an answer was lost, and testing another token failed too often", served(), later, only, gone("A"), orphan, lost, made, pending("C", 90, fresh), failure(rota.StepTest, 40, later)),
		// The rotation that made it was called off.
		sit("the rotation that made the token was called off", served(), at(90), only, gone("A"), made, calledOff),
		sit("the rotation that made the token was called off, and its targets are behind", served(), at(90), only, gone("A"), made, calledOff, targets),
		sit("the rotation that made the token was called off, and creating the next failed often", served(), at(90), only, gone("A"), made, calledOff, waited(40, time.Minute, 6*time.Hour)),
		sit("a rotation was called off, and its token is inactive", served(), at(90), only, gone("A"), made, issued("C", inactive), calledOff),
		sit("a rotation was called off, and the token before works", served(), at(90), only, made, calledOff),
		sit("a rotation was called off, and somebody else's token is current", served(), at(90), only, gone("A"), made, calledOff, version(rota.LabelCurrent, foreign)),
		sit("a rotation was called off, and nothing is current", served(), at(90), only, gone("A"), made, calledOff, version(rota.LabelCurrent, func(v *rota.Version) { v.CredentialID = rota.NoCredential })),
		sit("a token that isn't Rota's is in a version without a label", served(), at(90), only, gone("A"), made, another(rota.Version{ID: "theirs", Labels: []rota.Label{"custom"}, CredentialID: "C"})),
		sit("a token that was promoted is in a version that lost its labels", served(), at(90), only, gone("A"), made, calledOff, func(s *situation) {
			s.state.Progress.Versions["rota-9"] = rotation.VersionProgress{PromotedAt: at(89)}
		}),
		sit("a token that was called off is the previous one, too", served(), at(90), only, gone("A"), made, calledOff, another(rota.Version{ID: "rota-8", Labels: []rota.Label{rota.LabelPrevious}, CredentialID: "C"})),
		sit("a key of two whose rotation was called off", served(), at(90), gone("A"), made, calledOff),
		// Somebody else's is current.
		sit("somebody else's key is current and inactive, and Rota's is on its way", served(), at(91), version(rota.LabelCurrent, foreign), issued("A", inactive), made, pending("C", 90, fresh)),
		sit("somebody else's is current, and the next token is on its way", served(), at(91), only, version(rota.LabelCurrent, foreign), gone("A"), made, pending("C", 90, fresh)),
		sit("somebody else's is current and works, and the next token is on its way", served(), at(91), only, version(rota.LabelCurrent, foreign), made, pending("C", 90, fresh)),
		sit("somebody else's is current and works, and a rotation of it goes on", served(), at(91), only, version(rota.LabelCurrent, foreign), made, pending("C", 90, func(vp *rotation.VersionProgress) { vp.Base = "foreign-A" })),
		sit("somebody else's is current, and a shown password is on its way", served(), at(91), shown, version(rota.LabelCurrent, foreign), pending("A", 90, fresh)),
		sit("somebody else's is current, and a shown password that replaces it goes on", served(), at(91), shown, version(rota.LabelCurrent, foreign), pending("A", 90, func(vp *rotation.VersionProgress) { vp.Base = "foreign-A" })),
		sit("somebody else's is current, and a password of a single role that replaces it goes on", served(), at(91), single, version(rota.LabelCurrent, foreign), pending("A", 90, func(vp *rotation.VersionProgress) { vp.Base, vp.SetBegunAt = "foreign-A", at(90) })),
		sit("somebody else's is current, and a shown password that only was handed in is on its way", served(), at(91), shown, version(rota.LabelCurrent, foreign), pending("A", 90, func(vp *rotation.VersionProgress) { vp.Base = "foreign-A" }),
			version(rota.LabelPending, func(v *rota.Version) { v.Labels = append(v.Labels, rota.LabelAdopted) })),
		// A password that the issuer shows.
		sit("a shown password is young", served(), at(10), shown),
		sit("a shown password is old", served(), at(90), shown),
		sit("the store has no shown password", empty(), day0, shown),
		sit("not asked whether a shown password is in force", served(), at(10), shown, asks),
		sit("not asked whether a shown password is in force, and the next one is due", served(), at(90), shown, asks),
		sit("a shown password isn't in force", served(), at(10), shown, drifted),
		sit("a shown password isn't in force, and the next one is due", served(), at(90), shown, drifted),
		sit("a shown password isn't in force, and the window is closed", served(), at(90), shown, drifted, policy(func(p *rotation.Policy) {
			p.Blackouts = []rotation.Blackout{{From: at(89), Until: at(99), Why: "audit"}}
		})),
		sit("a shown password isn't in force, and it's paused", served(), at(10), shown, drifted, paused),
		sit("a shown password isn't in force, and the next steps would fail", served(), at(10), shown, drifted, unready),
		sit("a shown password isn't in force, and taking the next one over failed", served(), at(10), shown, drifted, failure(rota.StepCreate, 1, at(10).Add(time.Minute))),
		sit("a shown password isn't in force, and it's Rota's no more", served(), at(10), shown, drifted, version(rota.LabelCurrent, foreign)),
		sit("a shown password isn't in force, and the one before is there", rotated(never), at(95), shown, drifted),
		sit("a shown password isn't in force, and delivering it fails", served(), at(10), shown, drifted, targets, failure(rota.StepDeliver, 1, at(10).Add(time.Minute))),
		sit("a shown password isn't in force, and the next one is on its way", served(), at(10), shown, drifted, pending("A", 10, fresh)),
		sit("a shown password was rejected", served(), at(10), shown, pending("A", 10, rejected)),
		sit("a shown password wasn't verified", served(), at(10), shown, state(func(s *rotation.State) {
			s.Tells, s.Told, s.Unverified = true, true, &rotation.Unverified{Since: at(9), Stops: true, Reason: "no login"}
		})),
		// Credentials that end by themselves and on request.
		sit("a lease is young", served(), at(5), revocable),
		sit("not asked whether a lease is in force", served(), at(5), revocable, asks),
		sit("not asked whether a lease is in force that's about to end", served(), at(30).Add(-rotation.EndMargin), revocable, asks),
		sit("a lease isn't in force", served(), at(5), revocable, drifted),
		sit("a lease isn't in force, and it's Rota's no more", served(), at(5), revocable, drifted, version(rota.LabelCurrent, foreign)),
		sit("the lease before hasn't ended", replaced(), at(25), revocable),
		sit("the lease before hasn't ended, and isn't Rota's", replaced(), at(25), revocable, version(rota.LabelPrevious, foreign)),
		sit("the lease before is about to end", replaced(), at(30).Add(-rotation.EndMargin), revocable),
		sit("the lease before has ended", replaced(), at(30).Add(rotation.EndMargin), revocable),
		sit("the lease before has ended, and isn't Rota's", replaced(), at(30).Add(rotation.EndMargin), revocable, version(rota.LabelPrevious, foreign)),
		sit("what only a person rotates can be revoked", served(), at(5), revocable, drifted, traits(func(t *rota.Traits) { t.Manual = true })),
	}
}

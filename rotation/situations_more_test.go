package rotation_test

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// retirements are those in which there's a previous credential.
func retirements() []situation {
	off := func(day int) change {
		return func(s *situation) {
			issued("A", inactive)(s)
			done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.DeactivatedAt = at(day) })(s)
		}
	}
	used := func(at time.Time) rota.Use { return rota.Use{Evidence: rota.EvidenceRecorded, At: at} }
	sampled := rota.Use{Evidence: rota.EvidenceSampled}
	before := policy(func(p *rotation.Policy) { p.Retire = rotation.RetireBeforeCreate })
	quiet := func(since int, n int) change {
		return done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.QuietSince, vp.QuietSamples = at(since), n })
	}
	event := func(looks int) change {
		return state(func(s *rotation.State) { s.Chain, s.IdleLooks = rotation.Lifecycle, looks })
	}
	return []situation{
		sit("the previous one is in its grace", rotated(never), at(95)),
		sit("the previous one is in its grace, and the list isn't known", rotated(never), at(95), state(unasked)),
		sit("the grace is over", rotated(never), at(100)),
		sit("the grace is over, and the issuer can't list", rotated(never), at(100), state(unlisting)),
		sit("the grace is over, and the previous one isn't Rota's", rotated(never), at(100), version(rota.LabelPrevious, foreign)),
		sit("the grace is over, the previous one isn't Rota's, and it's gone", rotated(never), at(100), version(rota.LabelPrevious, foreign), gone("A")),
		sit("the grace is over, and the previous one was used a moment ago", rotated(used(at(100))), at(100)),
		sit("the grace is over, and the previous one was used just seven days ago", rotated(used(at(93))), at(100)),
		sit("the grace is over, and the previous one's use lies ahead by another clock", rotated(used(at(100).Add(time.Minute))), at(100)),
		sit("the grace is over, and nobody says whether it's used", rotated(rota.Use{Detail: "the issuer (its answer: no)", Remedies: rota.Outside("grant it")}), at(100)),
		sit("the grace is over, but somebody deactivated it before", rotated(used(at(99))), at(100), issued("A", inactive)),
		sit("the grace is over, but it's gone", rotated(never), at(100), gone("A")),
		sit("several looks found it idle", rotated(sampled), at(100), quiet(93, 3)),
		sit("not enough looks found it idle", rotated(sampled), at(100), quiet(93, 2)),
		sit("one look found it idle", rotated(sampled), at(100), quiet(93, 1)),
		sit("not for long enough", rotated(sampled), at(100), quiet(94, 9)),
		sit("a look finds it in use", rotated(rota.Use{Evidence: rota.EvidenceSampled, At: at(100), Detail: "10.0.0.7"}), at(100), quiet(90, 9)),
		sit("looks are taken in the grace", rotated(sampled), at(95)),
		sit("an event looks again", rotated(sampled), at(100), event(2)),
		sit("an event has looked often enough", rotated(sampled), at(100), event(3)),
		sit("an event finds it in use", rotated(rota.Use{Evidence: rota.EvidenceSampled, At: at(100)}), at(100), event(0)),
		sit("an event comes too soon after the replacement", rotated(sampled), at(96), event(3), policy(func(p *rotation.Policy) { p.DeactivatePreviousAfter, p.UnusedFor = 0, 7*rota.Day })),
		sit("an event comes just in time", rotated(sampled), at(97), event(3), policy(func(p *rotation.Policy) { p.DeactivatePreviousAfter, p.UnusedFor = 0, 7*rota.Day })),
		sit("the previous one was deactivated", rotated(never), at(105), off(100)),
		sit("the second grace is over", rotated(never), at(110), off(100)),
		sit("the second grace is over, and the previous one isn't Rota's", rotated(never), at(110), off(100), version(rota.LabelPrevious, foreign), state(func(s *rotation.State) {
			s.Progress.Versions["foreign-A"] = rotation.VersionProgress{DeactivatedAt: at(100)}
		})),
		sit("the second grace is over, and the list doesn't have it", rotated(never), at(110), off(100), gone("A")),
		sit("the second grace is over, and it's active again", rotated(never), at(110), off(100), issued("A", func(i *rota.Issued) { i.Active = true })),
		sit("the second grace is over, and the issuer can't list", rotated(never), at(110), off(100), state(unlisting)),
		sit("a previous version holds the current credential", rotated(never), at(100), version(rota.LabelPrevious, func(v *rota.Version) { v.CredentialID = "B" })),
		sit("a previous version holds none", rotated(never), at(100), version(rota.LabelPrevious, func(v *rota.Version) { v.CredentialID = rota.NoCredential })),
		sit("a single role's previous password was another role's", rotated(never), at(100), single, version(rota.LabelPrevious, func(v *rota.Version) { v.CredentialID = "old" }), issued("old", func(*rota.Issued) {})),
		sit("the grace is over, the previous one isn't Rota's, and the issuer can't list", rotated(never), at(100), version(rota.LabelPrevious, foreign), state(unlisting)),
		sit("the grace is over, and the previous one was used a second ago", rotated(used(at(100).Add(-time.Second))), at(100)),
		sit("the grace is over, and the previous one may be the one in use", rotated(rota.Use{Evidence: rota.EvidenceRecorded, At: at(99), Ambiguous: true}), at(100)),
		sit("the grace is over, and neither of two that can't be told apart is in use", rotated(rota.Use{Evidence: rota.EvidenceRecorded, Ambiguous: true}), at(100)),
		sit("the previous one was current again just now, and the list may not show it yet", rotated(never), at(90).Add(5*time.Second), gone("A"), done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.PromotedAt = at(90) })),
		sit("the previous one was current again just now, and the issuer can't list", rotated(never), at(90).Add(5*time.Second), state(unlisting), done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.PromotedAt = at(90) })),
		sit("a single role's previous password isn't retired", rotated(never), at(100), single),
		sit("a pair's previous password", rotated(never), at(100), pair),
		sit("before_create, the next isn't due", rotated(never), at(179), before),
		sit("before_create, the next is due", rotated(never), at(180), before),
		sit("before_create, it's in use", rotated(used(at(179))), at(180), before),
		sit("before_create, it was deactivated", rotated(never), at(180), before, off(180)),
		sit("before_create, in a long grace", rotated(never), at(180), before, policy(func(p *rotation.Policy) { p.DeactivatePreviousAfter = 95 * rota.Day })),
		sit("before_create, and nothing rotates", rotated(never), at(180), before, policy(func(p *rotation.Policy) { p.RotateEvery = 0 })),
		sit("the next is due, but the previous one is still there", rotated(never), at(105), off(104), policy(func(p *rotation.Policy) { p.RotateEvery = 15 * rota.Day })),
		sit("the next is due, but a previous one that isn't Rota's is still there", rotated(never), at(95), version(rota.LabelPrevious, foreign), policy(func(p *rotation.Policy) { p.RotateEvery = 5 * rota.Day })),
		sit("the next is due, but deactivating the previous one fails", rotated(never), at(95), policy(func(p *rotation.Policy) { p.RotateEvery = 5 * rota.Day }), failure(rota.StepDeactivate, 3, at(95), rota.Outside("grant it")...)),
		sit("the next is due, but deleting the previous one fails for an unknown reason", rotated(never), at(95), policy(func(p *rotation.Policy) { p.RotateEvery = 5 * rota.Day }), failure(rota.StepDelete, 3, at(95))),
		sit("the next is due, but deactivating the previous one was given up", rotated(never), at(95), policy(func(p *rotation.Policy) { p.RotateEvery = 5 * rota.Day }), failure(rota.StepDeactivate, 20, at(95), rota.Outside("grant it")...)),
		sit("not deactivatable, in its grace periods", rotated(never), at(109), state(undeactivating)),
		sit("not deactivatable, its grace periods are over", rotated(never), at(110), state(undeactivating)),
		sit("not deactivatable, its grace periods are over, and it's not Rota's", rotated(never), at(110), state(undeactivating), version(rota.LabelPrevious, foreign)),
		sit("not deactivatable, and in use", rotated(used(at(109))), at(110), state(undeactivating)),
		sit("not deactivatable, and nobody says whether it's used", rotated(rota.Use{}), at(110), state(undeactivating)),
		sit("not deactivatable, and a look finds it idle", rotated(sampled), at(100), state(undeactivating)),
		sit("not deactivatable, but inactive", rotated(used(at(109))), at(110), state(undeactivating), issued("A", inactive)),
		sit("not deactivatable, but inactive, in the grace", rotated(used(at(94))), at(95), state(undeactivating), issued("A", inactive)),
		sit("not deactivatable, and the issuer can't list", rotated(never), at(110), state(undeactivating), state(unlisting)),
		sit("not deactivatable, before_create", rotated(never), at(170), state(undeactivating), before),
		sit("not deactivatable, the next is due", rotated(never), at(95), state(undeactivating), policy(func(p *rotation.Policy) { p.RotateEvery = 5 * rota.Day })),
	}
}

// schedules are those in which the policy's dates matter.
func schedules() []situation {
	mondays, err := rotation.ParseWindow("0 9 * * MON", 4*time.Hour, "UTC") // days 4, 11, …, 88, 95, 102
	if err != nil {
		panic(err)
	}
	monthly, err := rotation.ParseCron("0 9 1 * *", "UTC")
	if err != nil {
		panic(err)
	}
	window := policy(func(p *rotation.Policy) { p.Window = mondays })
	black := func(from, until int, why string) change {
		return policy(func(p *rotation.Policy) {
			p.Blackouts = append(p.Blackouts, rotation.Blackout{From: at(from), Until: at(until), Why: why})
		})
	}
	peer := func(p rotation.Peer) change {
		p.Secret, p.By = "other", 12*time.Hour
		return state(func(s *rotation.State) { s.Peers = append(s.Peers, p) })
	}
	halt := &rotation.Halt{By: "ann", Why: "audit", At: at(80)}
	mute := &rotation.Halt{By: "bob", At: at(80)}
	last := time.Date(2026, 4, 6, 13, 0, 0, 0, time.UTC) // when the window closes
	return []situation{
		sit("the window is closed", served(), at(90), window),
		sit("the window is open", served(), at(95), window),
		sit("the window is open for another moment", served(), last.Add(-1), window),
		sit("the window closes", served(), last, window),
		sit("the window was missed", served(), at(102), window),
		sit("a retirement waits for the window", rotated(never), at(100), window),
		sit("what can't be deactivated waits for the window", rotated(never), at(110), window, state(undeactivating)),
		sit("a blackout is on", served(), at(90), black(85, 92, "year's end")),
		sit("a blackout is on, between others", served(), at(90), black(95, 96, "after"), black(85, 92, "on"), black(80, 84, "before")),
		sit("a blackout is on since the other ended, until the window opens", served(), at(90), window, black(94, 96, "in the window"), black(85, 90, "over")),
		sit("the next is spread, and due in the window's hours", served(), at(90), window, policy(func(p *rotation.Policy) { p.RotateEvery, p.Jitter = 95*rota.Day+3*time.Hour, time.Hour })),
		sit("a blackout begins", served(), at(90), black(90, 92, "")),
		sit("a blackout ends", served(), at(90), black(85, 90, "")),
		sit("one blackout after the other", served(), at(80), black(92, 94, "later"), black(89, 92, "first")),
		sit("blackouts within the window's hours", served(), at(80), window, black(94, 96, "")),
		sit("a retirement waits for a blackout", rotated(never), at(100), black(99, 101, "audit")),
		sit("the next is on a schedule", served(), at(10), policy(func(p *rotation.Policy) { p.RotateEvery, p.RotateAt = 0, monthly })),
		sit("the next is due by a schedule", served(), at(31), policy(func(p *rotation.Policy) { p.RotateEvery, p.RotateAt = 0, monthly })),
		sit("the next is put off", served(), at(95), progress(func(p *rotation.Progress) { p.NotBefore = at(97) })),
		sit("the next is spread", served(), at(80), policy(func(p *rotation.Policy) { p.Jitter = 5 * rota.Day })),
		sit("the next is spread within the window", served(), at(90), window, policy(func(p *rotation.Policy) { p.Jitter = time.Hour })),
		sit("a peer is being rotated", served(), at(90), peer(rotation.Peer{BegunAt: at(90)})),
		sit("a peer was just rotated", served(), at(90), peer(rotation.Peer{IssuedAt: at(90).Add(-time.Hour)})),
		sit("a peer was rotated twelve hours ago", served(), at(90), peer(rotation.Peer{IssuedAt: at(90).Add(-12 * time.Hour)})),
		sit("a peer is due as well", served(), at(90), peer(rotation.Peer{RotateAt: at(90)})),
		sit("a peer is due later", served(), at(90), peer(rotation.Peer{RotateAt: at(91)})),
		sit("a peer has been due for long", served(), at(90), peer(rotation.Peer{RotateAt: at(89)})),
		sit("a peer has been due for just twelve hours", served(), at(90), peer(rotation.Peer{RotateAt: at(90).Add(-12 * time.Hour)})),
		sit("the second peer is being rotated", served(), at(90), peer(rotation.Peer{}), peer(rotation.Peer{BegunAt: at(90)})),
		sit("a peer with a later name is due as well", served(), at(90), peer(rotation.Peer{RotateAt: at(90)}), state(func(s *rotation.State) { s.Secret = "a" })),
		sit("it's paused", served(), at(90), state(func(s *rotation.State) { s.Halts.Paused = halt })),
		sit("it's paused for no reason", served(), at(90), state(func(s *rotation.State) { s.Halts.Paused = mute })),
		sit("everything is frozen", served(), at(90), state(func(s *rotation.State) { s.Halts.Frozen = halt })),
		sit("a retirement while it's paused", rotated(never), at(100), state(func(s *rotation.State) { s.Halts.Paused = halt })),
		sit("a deletion while everything is frozen", rotated(never), at(110), state(undeactivating), state(func(s *rotation.State) { s.Halts.Frozen = halt })),
		sit("what's on its way is finished while it's paused", served(), at(90), pending("C", 90, func(*rotation.VersionProgress) {}), state(func(s *rotation.State) { s.Halts.Paused = halt })),
		sit("what was rejected is given up while everything is frozen", served(), at(90), pending("C", 90, func(vp *rotation.VersionProgress) { vp.Rejected = "no" }), state(func(s *rotation.State) { s.Halts.Frozen = halt })),
		sit("a rival changes the same credentials", served(), at(90), state(func(s *rotation.State) {
			s.Rivals = []rotation.Rival{{Reason: "other claims it too", Remedies: rota.Outside("remove one")}}
		})),
		sit("not asked whether the next steps would work", served(), at(90), state(func(s *rotation.State) { s.Proves = true })),
		sit("the next steps would work", served(), at(90), state(func(s *rotation.State) { s.Proves, s.Proven = true, true })),
		sit("the next steps would fail", served(), at(90), state(func(s *rotation.State) {
			s.Proves, s.Proven, s.Unready = true, true, []rotation.Unready{{Reason: "no disk", Remedies: rota.Outside("a disk")}, {Reason: "no net"}}
		})),
		sit("the steps after a set would fail", served(), at(90), single, pending("A", 90, func(*rotation.VersionProgress) {}), state(func(s *rotation.State) {
			s.Proves, s.Proven, s.Unready = true, true, []rotation.Unready{{Reason: "no disk"}}
		})),
		sit("the steps after a set that has begun aren't asked", served(), at(90), single, pending("A", 90, func(vp *rotation.VersionProgress) { vp.SetBegunAt = at(90) }), state(func(s *rotation.State) { s.Proves = true })),
		sit("the steps after a set with overlap aren't asked", served(), at(90), pair, pending("B", 90, func(*rotation.VersionProgress) {}), state(func(s *rotation.State) { s.Proves = true })),
		sit("the steps after putting the current one back aren't asked", served(), at(90), single, pending("A", 90, func(vp *rotation.VersionProgress) { vp.SetBegunAt, vp.Rejected = at(90), "no" }), state(func(s *rotation.State) { s.Proves = true })),
		sit("the steps after what expires aren't asked", served(), at(25), expiring, state(func(s *rotation.State) { s.Proves = true })),
		sit("only a person can rotate it, and nobody has said when", served(), at(90), traits(func(t *rota.Traits) { t.Manual = true })),
		sit("only a person can rotate it, who did so just now", served(), at(10), traits(func(t *rota.Traits) { t.Manual = true }), progress(func(p *rotation.Progress) { p.DoneAt = at(10) })),
		sit("only a person can rotate it, and soon has to", served(), at(90), traits(func(t *rota.Traits) { t.Manual = true }), progress(func(p *rotation.Progress) { p.DoneAt = at(10) }), state(func(s *rotation.State) { s.Owner = "ann" })),
		sit("only a person can rotate it, and it's due", served(), at(100), traits(func(t *rota.Traits) { t.Manual = true }), progress(func(p *rotation.Progress) { p.DoneAt = at(10) }), state(func(s *rotation.State) { s.Owner = "ann" })),
		sit("only a person can rotate it, and nothing says when", served(), at(100), traits(func(t *rota.Traits) { t.Manual = true }), progress(func(p *rotation.Progress) { p.DoneAt = at(10) }), policy(func(p *rotation.Policy) { p.RotateEvery = 0 })),
	}
}

// failures are those in which a step has failed, or consumers don't have the
// current credential.
func failures() []situation {
	serves := state(func(s *rotation.State) { s.Targets, s.Reloaders = []string{"t1", "t2"}, []string{"r1", "r2"} })
	delivered := func(names ...string) change {
		return done(rota.LabelCurrent, func(vp *rotation.VersionProgress) {
			vp.Delivered = map[string]time.Time{}
			for _, n := range names {
				vp.Delivered[n] = day0
			}
		})
	}
	reloaded := func(names ...string) change {
		return done(rota.LabelCurrent, func(vp *rotation.VersionProgress) {
			vp.Reloaded = map[string]time.Time{}
			for _, n := range names {
				vp.Reloaded[n] = day0
			}
		})
	}
	unserved := done(rota.LabelCurrent, func(vp *rotation.VersionProgress) { vp.ServedAt = time.Time{} })
	unmarked := version(rota.LabelCurrent, func(v *rota.Version) { v.Labels = []rota.Label{rota.LabelCurrent} })
	refused := func(s *situation) { s.state.Progress.Failure.Refused = true }
	closed, err := rotation.ParseWindow("0 9 * * MON", 4*time.Hour, "UTC")
	if err != nil {
		panic(err)
	}
	window := policy(func(p *rotation.Policy) { p.Window = closed })
	return []situation{
		sit("nothing is delivered yet", served(), at(10), serves),
		sit("one target has it", served(), at(10), serves, delivered("t1")),
		sit("both targets have it", served(), at(10), serves, delivered("t1", "t2")),
		sit("one consumer has it", served(), at(10), serves, delivered("t1", "t2"), reloaded("r1")),
		sit("everything has it", served(), at(10), serves, delivered("t1", "t2"), reloaded("r1", "r2")),
		sit("everything has it, but it isn't noted as served", served(), at(10), serves, delivered("t1", "t2"), reloaded("r1", "r2"), unserved),
		sit("everything has it, but it isn't marked as served", served(), at(10), unmarked),
		sit("nothing is delivered, of a single role", served(), at(10), serves, single),
		sit("nothing is delivered, and it's inactive", served(), at(10), serves, issued("A", inactive)),
		sit("nothing is delivered, of a promotion that's known", served(), at(10), serves, done(rota.LabelCurrent, func(vp *rotation.VersionProgress) { vp.PromotedAt = at(5) })),
		sit("delivering failed", served(), at(10), serves, failure(rota.StepDeliver, 1, at(10).Add(time.Hour))),
		sit("delivering failed, and it's time to retry", served(), at(10), serves, failure(rota.StepDeliver, 1, at(10))),
		sit("delivering failed for the last time", served(), at(10), serves, failure(rota.StepDeliver, 20, at(10), rota.Remedy{Action: rota.RemedyRotate, Secret: "s"})),
		sit("delivering failed, and the current one is gone", served(), at(10), serves, failure(rota.StepDeliver, 1, at(10)), gone("A")),
		sit("delivering failed, and the list isn't known", served(), at(10), serves, failure(rota.StepDeliver, 1, at(10)), state(unasked)),
		sit("reloading failed because the current one is refused", served(), at(10), serves, delivered("t1", "t2"), failure(rota.StepReload, 1, at(10)), refused),
		sit("creating failed", served(), at(90), failure(rota.StepCreate, 3, at(90).Add(time.Hour), rota.Outside("grant it")...)),
		sit("creating failed, and it's time to retry", served(), at(90), failure(rota.StepCreate, 3, at(90))),
		sit("creating failed for the last time", served(), at(90), failure(rota.StepCreate, 20, at(90), rota.AllOf(rota.Outside("grant it"), rota.Outside("and this"))...)),
		sit("creating failed for the last time, for an unknown reason", served(), at(90), failure(rota.StepCreate, 20, at(90))),
		sit("creating failed as often as it may but once", served(), at(90), failure(rota.StepCreate, 19, at(90).Add(time.Hour))),
		sit("creating failed, and the window has closed", served(), at(90), window, failure(rota.StepCreate, 3, at(89))),
		sit("creating failed, the window has closed, and the retry comes first", served(), at(95).Add(5*time.Hour), window, failure(rota.StepCreate, 3, at(96))),
		sit("creating failed, the window has closed, and the retry comes after it opens", served(), at(95).Add(5*time.Hour), window, failure(rota.StepCreate, 3, at(103))),
		sit("creating failed for the last time, and the window has closed", served(), at(90), window, failure(rota.StepCreate, 20, at(89))),
		sit("creating failed, but isn't due any more", served(), at(10), failure(rota.StepCreate, 3, at(10))),
		sit("deactivating failed, but isn't due any more", rotated(never), at(95), failure(rota.StepDeactivate, 3, at(95))),
		sit("deleting failed, but isn't due any more", rotated(never), at(95), failure(rota.StepDelete, 3, at(95))),
		sit("looking failed, and creating before it", served(), at(90), failure(rotation.StepObserve, 3, at(90).Add(time.Hour)), progress(func(p *rotation.Progress) {
			p.StepFailure = &rotation.Failure{Step: rota.StepCreate, Error: "before", At: at(89), Attempts: 2, RetryAt: at(90).Add(2 * time.Hour)}
		})),
		sit("setting a rejected password back failed often", served(), at(90), single, pending("A", 90, func(vp *rotation.VersionProgress) { vp.SetBegunAt, vp.Rejected = at(90), "no" }), failure(rota.StepSet, 30, at(90).Add(time.Minute))),
		sit("setting a new password failed often", served(), at(90), single, pending("A", 90, func(*rotation.VersionProgress) {}), failure(rota.StepSet, 20, at(90).Add(time.Minute))),
		sit("testing a new password that was set failed often", served(), at(90), single, pending("A", 90, func(vp *rotation.VersionProgress) { vp.SetBegunAt, vp.SetAt = at(90), at(90) }), failure(rota.StepTest, 20, at(90).Add(time.Minute))),
	}
}

// expiries are those of credentials that end by themselves.
func expiries() []situation {
	ends := func(l rota.Label, when time.Time) change {
		return version(l, func(v *rota.Version) { v.ExpiresAt = when })
	}
	replaced := func() rotation.State {
		st := rotated(never)
		st.Contents.Versions[1].CreatedAt = at(20)
		st.Progress.Versions["rota-2"] = rotation.VersionProgress{CredentialID: "B", PromotedAt: at(20), ServedAt: at(20)}
		return st
	}
	return []situation{
		sit("a third of its life is left", served(), at(20), expiring),
		sit("more than a third of its life is left", served(), at(19), expiring),
		sit("its own date comes sooner", served(), at(5), expiring, ends(rota.LabelCurrent, at(10))),
		sit("its own date comes sooner than the policy's", served(), at(5), expiring, ends(rota.LabelCurrent, at(31)), policy(func(p *rotation.Policy) { p.RotateEvery = 40 * rota.Day })),
		sit("it nearly ended while its targets were away", served(), at(25), expiring, state(func(s *rotation.State) { s.Targets = []string{"t"} })),
		sit("its targets are away", served(), at(5), expiring, state(func(s *rotation.State) { s.Targets = []string{"t"} })),
		sit("a new one ended on its way", served(), at(30), expiring, pending("C", 0, func(*rotation.VersionProgress) {})),
		sit("a new one nearly ended on its way", served(), at(20), expiring, pending("C", 0, func(*rotation.VersionProgress) {}), ends(rota.LabelPending, at(20).Add(rotation.EndMargin))),
		sit("a new one has a moment more", served(), at(20), expiring, pending("C", 0, func(*rotation.VersionProgress) {}), ends(rota.LabelPending, at(20).Add(rotation.EndMargin+1))),
		sit("the previous one hasn't ended", replaced(), at(25), expiring),
		sit("the previous one has ended", replaced(), at(30).Add(rotation.EndMargin), expiring, policy(func(p *rotation.Policy) { p.RotateEvery = 29 * rota.Day })),
		sit("the previous one has ended, and isn't Rota's", replaced(), at(31), expiring, version(rota.LabelPrevious, foreign), policy(func(p *rotation.Policy) { p.RotateEvery = 29 * rota.Day })),
		sit("a rollback doesn't stop it", replaced(), at(45), expiring, progress(func(p *rotation.Progress) { p.RolledBackAt = at(22) })),
		sit("a failure is retried within a quarter of its life", served(), at(25), expiring, progress(func(p *rotation.Progress) { p.Rejections, p.RejectedAt = 3, at(25).Add(-time.Minute) })),
	}
}

// driven are those in which a driver asks for a step.
func driven() []situation {
	taken := func(steps ...rota.Step) func(*rota.Version, *rotation.Driving) {
		return func(_ *rota.Version, d *rotation.Driving) { d.Taken = steps }
	}
	copied := func(v *rota.Version, d *rotation.Driving) { d.Rehearsal, v.CredentialID = true, "A" }
	current := func(v *rota.Version, _ *rotation.Driving) { v.Labels[0] = rota.LabelCurrent }
	displaced := state(func(s *rotation.State) {
		s.Contents.Versions = s.Contents.Versions[1:] // by the driven one
	})
	tested := func(s *situation) {
		s.state.Progress.Versions["driven"] = rotation.VersionProgress{TestedAt: s.now}
	}
	lost := progress(func(p *rotation.Progress) {
		p.Intents = []rotation.Intent{{Version: "rota-lost", At: at(90), Until: at(90), Known: []string{"A"}}}
	})
	used := rota.Use{Evidence: rota.EvidenceRecorded, At: at(110)}
	full := traits(func(t *rota.Traits) { t.Limit = 2 })
	return []situation{
		sit("a driver asks to create", served(), at(90), drive(rota.StepCreate, plainly)),
		sit("a driver asks to create what there is", served(), at(90), drive(rota.StepCreate, func(v *rota.Version, _ *rotation.Driving) { v.Empty = false })),
		sit("a driver asks to create, and that's done", served(), at(90), drive(rota.StepCreate, taken(rota.StepCreate))),
		sit("a driver asks to create before the first is adopted", served(), at(90), version(rota.LabelCurrent, foreign), drive(rota.StepCreate, plainly)),
		sit("a driver asks to create once the first is adopted", served(), at(90), version(rota.LabelCurrent, foreign), drive(rota.StepCreate, taken(rotation.StepAdopt))),
		sit("a driver asks to create, and the list isn't known", served(), at(90), state(unasked), drive(rota.StepCreate, plainly)),
		sit("a driver asks to create where nothing can be listed", served(), at(90), state(unlisting), drive(rota.StepCreate, plainly)),
		sit("a driver asks to create, and strangers are in the way", served(), at(90), issued("X", func(*rota.Issued) {}), drive(rota.StepCreate, plainly)),
		sit("a driver asks to create, and the previous one is in the way", rotated(never), at(110), drive(rota.StepCreate, plainly)),
		sit("a driver asks to create, and the previous one in the way is in use", rotated(used), at(110), drive(rota.StepCreate, plainly)),
		sit("a driver asks to create, and the previous one in the way is inactive", rotated(used), at(110), issued("A", inactive), drive(rota.StepCreate, plainly)),
		sit("a driver asks to create, and the previous one in the way is gone", rotated(never), at(110), gone("A"), issued("X", func(*rota.Issued) {}), drive(rota.StepCreate, plainly)),
		sit("a driver asks to create, and the previous one in the way isn't Rota's", rotated(never), at(110), version(rota.LabelPrevious, foreign), drive(rota.StepCreate, plainly)),
		sit("a driver asks to create, and the previous one isn't in the way", rotated(never), at(110), traits(func(t *rota.Traits) { t.Limit = 3 }), drive(rota.StepCreate, plainly)),
		sit("a driver asks for the other role's password", rotated(never), at(110), pair, full, drive(rota.StepCreate, plainly)),
		sit("a driver asks for the other role's password where nothing can be listed", rotated(never), at(110), pair, state(unlisting), drive(rota.StepCreate, plainly)),
		sit("a driver asks for the other role's password where nothing can be listed nor deactivated", rotated(never), at(110), pair, state(unlisting), state(undeactivating), drive(rota.StepCreate, plainly)),
		sit("a driver asks for a single role's password", rotated(never), at(110), single, drive(rota.StepCreate, plainly)),
		sit("a driver asks to create while an answer is outstanding", served(), at(90).Add(5*time.Second), lost, drive(rota.StepCreate, plainly)),
		sit("a driver asks to create once the list has settled", served(), at(90).Add(10*time.Second), lost, drive(rota.StepCreate, plainly)),
		sit("a driver asks to create, and a lost key has shown up", served(), at(90).Add(time.Minute), lost, issued("O", func(i *rota.Issued) { i.CreatedAt = at(90) }), drive(rota.StepCreate, plainly)),
		sit("a driver asks to set a key", served(), at(90), drive(rota.StepSet, plainly)),
		sit("a driver asks to set a password", served(), at(90), single, drive(rota.StepSet, plainly)),
		sit("a driver asks to set a password, and that's done", served(), at(90), single, drive(rota.StepSet, taken(rota.StepSet))),
		sit("a driver asks to set what's current", served(), at(90), single, displaced, drive(rota.StepSet, current)),
		sit("a driver asks to test", served(), at(90), drive(rota.StepTest, plainly)),
		sit("a driver asks to test, and that's done", served(), at(90), drive(rota.StepTest, taken(rota.StepTest))),
		sit("a driver asks to test what's announced", served(), at(90), drive(rota.StepTest, func(v *rota.Version, _ *rotation.Driving) { v.Empty = true })),
		sit("a driver asks to test a copy of the current one", served(), at(90), drive(rota.StepTest, copied)),
		sit("a driver asks to test what's current", served(), at(90), displaced, drive(rota.StepTest, current)),
		sit("a driver asks to promote what wasn't tested", served(), at(90), drive(rota.StepPromote, plainly)),
		sit("a driver asks to promote what was tested", served(), at(90), drive(rota.StepPromote, plainly), tested),
		sit("a driver asks to promote what's tested by now", served(), at(90), drive(rota.StepPromote, taken(rota.StepTest)), tested),
		sit("a driver asks to promote, and that's done", served(), at(90), displaced, drive(rota.StepPromote, func(v *rota.Version, d *rotation.Driving) { current(v, d); d.Taken = []rota.Step{rota.StepPromote} })),
		sit("a driver asks to promote what's current and pending", served(), at(90), displaced, drive(rota.StepPromote, func(v *rota.Version, _ *rotation.Driving) {
			v.Labels = []rota.Label{rota.LabelCurrent, rota.LabelPending, rota.LabelMade(v.ID)}
		})),
		sit("a driver asks to promote, and the targets don't have it", served(), at(90), displaced, state(func(s *rotation.State) { s.Targets = []string{"t"} }), drive(rota.StepPromote, current)),
		sit("a driver asks to create, and nothing says the next steps would work", served(), at(90), state(func(s *rotation.State) { s.Proves = true }), drive(rota.StepCreate, plainly)),
		sit("a driver asks to set, and the next steps would fail", served(), at(90), single, state(func(s *rotation.State) {
			s.Proves, s.Proven, s.Unready = true, true, []rotation.Unready{{Reason: "no disk"}}
		}), drive(rota.StepSet, plainly)),
	}
}

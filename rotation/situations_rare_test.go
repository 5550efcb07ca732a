package rotation_test

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// rare are those that one condition alone tells apart from a plain one.
func rare() []situation {
	monday, err := rotation.ParseWindow("0 9 * * MON", 4*time.Hour, "UTC") // days 4, 11, …, 95, 102, …, 186
	if err != nil {
		panic(err)
	}
	window := policy(func(p *rotation.Policy) { p.Window = monday })
	every := func(days int) change {
		return policy(func(p *rotation.Policy) { p.RotateEvery = time.Duration(days) * rota.Day })
	}
	before := policy(func(p *rotation.Policy) { p.Retire = rotation.RetireBeforeCreate })
	rolledBack := progress(func(p *rotation.Progress) { p.RolledBackAt = at(92) })
	lost := func(version string, until time.Time) change {
		return progress(func(p *rotation.Progress) {
			p.Intents = append(p.Intents, rotation.Intent{Version: version, At: until, Until: until, Known: []string{"A"}})
		})
	}
	another := func(v rota.Version) change {
		return state(func(s *rotation.State) { s.Contents.Versions = append(s.Contents.Versions, v) })
	}
	stranger := issued("X", func(*rota.Issued) {})
	targets := state(func(s *rotation.State) { s.Targets = []string{"t"} })
	used := rota.Use{Evidence: rota.EvidenceRecorded, At: at(95)}
	unready := state(func(s *rotation.State) {
		s.Proves, s.Proven, s.Unready = true, true, []rotation.Unready{{Reason: "no disk", Remedies: rota.Outside("a disk")}}
	})
	rival := state(func(s *rotation.State) {
		s.Rivals = []rotation.Rival{{Reason: "other claims it too", Remedies: rota.Outside("remove one")}}
	})
	fresh := func(*rotation.VersionProgress) {}
	neverPromoted := func(vp *rotation.VersionProgress) { vp.PromotedAt = time.Time{} }
	adopting := func(_ *rota.Version, d *rotation.Driving) { d.Adopt = true }
	promoted := func(_ *rota.Version, d *rotation.Driving) { d.Taken = []rota.Step{rota.StepPromote} }
	tested := func(s *situation) {
		s.state.Progress.Versions["driven"] = rotation.VersionProgress{TestedAt: s.now}
	}
	unserved := done(rota.LabelCurrent, func(vp *rotation.VersionProgress) { vp.ServedAt = time.Time{} })
	refused := progress(func(p *rotation.Progress) {
		p.Failure = &rotation.Failure{Step: rota.StepDeliver, Error: "no", At: at(91), Attempts: 3, RetryAt: at(92), Refused: true}
	})
	manual := traits(func(t *rota.Traits) { t.Manual = true })
	return []situation{
		// What a wait says ahead of its date.
		sit("a rotation that failed ahead of its date would find no place", served(), at(10), stranger, failure(rota.StepCreate, 1, at(10).Add(time.Hour))),
		sit("the previous one is in use in its grace, and a rival changes it too", rotated(used), at(95), rival),
		sit("the steps after the next would fail now, but it's due later", served(), at(10), unready),
		sit("a retirement that's due later waits for a blackout then", rotated(never), at(95), policy(func(p *rotation.Policy) {
			p.Blackouts = []rotation.Blackout{{From: at(99), Until: at(101), Why: "audit"}}
		})),
		sit("a rejection's backoff ends after the date", served(), at(90).Add(-30*time.Minute), progress(func(p *rotation.Progress) {
			p.Rejections, p.RejectedAt, p.RejectedFor = 3, at(90).Add(-30*time.Minute), rota.Outside("mend it")
		})),
		sit("the previous one ends by itself, and isn't Rota's", rotated(never), at(91), expiring, version(rota.LabelPrevious, foreign), version(rota.LabelPrevious, func(v *rota.Version) { v.ExpiresAt = at(95) })),
		sit("a consumer still holds the previous one in its grace", rotated(never), at(95), state(func(s *rotation.State) {
			s.AsksHolders, s.HoldersKnown, s.Holdings = true, true, []rotation.Holding{{Reason: "by pod-1", Remedies: rota.Outside("restart it")}}
		})),
		// The first credential.
		sit("nothing was ever issued, but the only place is taken", empty(), day0, stranger, traits(func(t *rota.Traits) { t.Limit = 1 })),
		sit("nothing is current, and the last first one was rolled back", empty(), day0, progress(func(p *rotation.Progress) { p.RolledBackAt = day0 })),
		sit("nothing is current, the last first one was rolled back, and the list isn't known", empty(), day0, state(unasked), progress(func(p *rotation.Progress) { p.RolledBackAt = day0 })),
		sit("nothing was ever issued, and a call's answer was lost just now", empty(), day0, lost("rota-lost", day0)),
		sit("nothing is current, and a delivery failed before", empty(), day0, failure(rota.StepDeliver, 1, day0)),
		sit("a driver asks to create the first", empty(), day0, drive(rota.StepCreate, plainly)),
		// Rotations.
		sit("rolled back, and the window closed before what was given up was retired", rotated(never), at(187), window, rolledBack),
		sit("rolled back, before_create, just at the end of the grace", rotated(never), at(100), before, every(10), rolledBack),
		sit("rolled back, there's no previous one, and a stranger has the other place", served(), at(95), stranger, rolledBack),
		sit("rolled back, the previous version holds the same one, and a stranger has the other place", rotated(never), at(200), rolledBack, stranger, gone("A"), version(rota.LabelPrevious, func(v *rota.Version) { v.CredentialID = "B" })),
		sit("strangers have all places, and a version that isn't Rota's holds one", served(), at(90), stranger, another(rota.Version{ID: "theirs", Labels: []rota.Label{"custom"}, CredentialID: "X"})),
		sit("a version that Rota made and that was called off has the other place", served(), at(90), stranger, another(rota.Version{ID: "rota-x", Labels: []rota.Label{rota.LabelMade("rota-x")}, CredentialID: "X"})),
		sit("a call's answer was lost for what's current by now", served(), at(90).Add(5*time.Second), lost("rota-1", at(90))),
		sit("the answers of two calls were lost, the later one's first", served(), at(90).Add(12*time.Second), lost("rota-a", at(90).Add(4*time.Second)), lost("rota-b", at(90))),
		sit("the issuer doesn't say since when", served(), at(80), issued("A", func(i *rota.Issued) { i.CreatedAt = time.Time{} })),
		sit("what expires is put off beyond its end", served(), at(20), expiring, progress(func(p *rotation.Progress) { p.NotBefore = at(40) })),
		// The current one.
		sit("a pending version is the previous one, of a lost progress", rotated(never), at(95), done(rota.LabelPrevious, neverPromoted), version(rota.LabelPrevious, func(v *rota.Version) { v.Labels = append(v.Labels, rota.LabelPending) })),
		sit("the current one isn't Rota's, and the list may not show it yet", served(), day0.Add(5*time.Second), version(rota.LabelCurrent, foreign), gone("A")),
		sit("the current one isn't Rota's, and the list should show it by now", served(), day0.Add(10*time.Second), version(rota.LabelCurrent, foreign), gone("A")),
		sit("the current one isn't Rota's, and is inactive before the list may be trusted", served(), day0.Add(5*time.Second), version(rota.LabelCurrent, foreign), issued("A", inactive)),
		sit("the current one isn't Rota's, and an issuer that can't list made it", served(), at(10), version(rota.LabelCurrent, foreign), state(unlisting)),
		sit("a replacement that was asked for goes on over an inactive one that isn't Rota's", served(), at(10), version(rota.LabelCurrent, foreign), issued("A", inactive),
			pending("C", 10, func(vp *rotation.VersionProgress) { vp.Base = "foreign-A" })),
		sit("a replacement that was asked for goes on once it's set for the same role", served(), at(10), pair, version(rota.LabelCurrent, foreign),
			pending("A", 10, func(vp *rotation.VersionProgress) { vp.Base, vp.SetBegunAt, vp.SetAt = "foreign-A", at(10), at(10) })),
		sit("one that isn't Rota's is current, and Rota's that was made before for the same role isn't taken for what's listed", served(), at(10), pair, version(rota.LabelCurrent, foreign),
			pending("A", 10, func(vp *rotation.VersionProgress) { vp.Base, vp.SetBegunAt, vp.SetAt = "rota-1", at(10), at(10) })),
		sit("a replacement that was asked for goes on over one that isn't Rota's, and the list isn't known", served(), at(10), version(rota.LabelCurrent, foreign), state(unasked),
			pending("C", 10, func(vp *rotation.VersionProgress) { vp.Base = "foreign-A" })),
		sit("somebody's password is current, and Rota's that was set is to be given up first", rotated(never), at(95), single, version(rota.LabelCurrent, func(v *rota.Version) { v.ID = "theirs" }),
			pending("A", 94, func(vp *rotation.VersionProgress) { vp.SetBegunAt = at(94) })),
		sit("the current one is inactive, a target is behind, and another step failed", served(), at(10), targets, issued("A", inactive), failure(rota.StepDeactivate, 1, at(10))),
		sit("the current one is inactive, and delivering it failed", served(), at(10), targets, issued("A", inactive), failure(rota.StepDeliver, 1, at(10))),
		sit("the current one is inactive, and reloading failed", served(), at(10), state(func(s *rotation.State) { s.Reloaders = []string{"r"} }), issued("A", inactive), failure(rota.StepReload, 1, at(10))),
		sit("an inactive one that isn't Rota's is current, and the previous one isn't Rota's either", rotated(never), at(100), issued("B", inactive), version(rota.LabelCurrent, foreign), version(rota.LabelPrevious, foreign)),
		sit("an inactive one that a person put is current, and Rota's own previous one is inactive", rotated(never), at(100), issued("A", inactive), issued("B", inactive), version(rota.LabelCurrent, foreign)),
		sit("an inactive one that a person put is current, Rota's own previous one is inactive, and the list isn't known", rotated(never), at(100), version(rota.LabelCurrent, foreign), state(unasked)),
		sit("an inactive one that a person put is current, and Rota's own previous one is active", rotated(never), at(100), issued("B", inactive), version(rota.LabelCurrent, foreign)),
		sit("one that a person put is current, and Rota's own previous one is inactive", rotated(never), at(100), issued("A", inactive), version(rota.LabelCurrent, foreign)),
		sit("an inactive one that a person put is current, Rota's own previous one is inactive, and a new one is on its way", rotated(never), at(100), issued("A", inactive), issued("B", inactive), version(rota.LabelCurrent, foreign),
			pending("C", 100, func(*rotation.VersionProgress) {})),
		sit("both are inactive, and the previous one isn't Rota's", rotated(never), at(95), issued("A", inactive), issued("B", inactive), version(rota.LabelPrevious, foreign)),
		sit("the current one is gone, and the previous one can't be switched off by itself", rotated(never), at(95), gone("B"), single, issued("A", inactive)),
		// On its way.
		sit("a test was just over five minutes ago", served(), at(90), pending("C", 90, func(vp *rotation.VersionProgress) { vp.TestedAt = at(90).Add(-5 * time.Minute) })),
		sit("a first password is on its way next to a previous one that was never promoted", rotated(never), at(95), single,
			version(rota.LabelCurrent, func(v *rota.Version) { v.Labels = []rota.Label{rota.LabelPending} }), done(rota.LabelPending, neverPromoted)),
		sit("a rejected key of which the list isn't known, and a target is behind", served(), at(90), targets, pending("C", 90, func(vp *rotation.VersionProgress) { vp.Rejected = "no" }), state(unasked)),
		sit("a key from a call is in a version that was called off", served(), at(90).Add(time.Minute), lost("rota-lost", at(90)), issued("O", func(i *rota.Issued) { i.CreatedAt = at(90) }),
			another(rota.Version{ID: "rota-9", Labels: []rota.Label{rota.LabelMade("rota-9")}, CredentialID: "O"})),
		sit("a rollback that didn't work puts the current one back", rotated(never), at(95), single, progress(func(p *rotation.Progress) {
			p.Rollback = &rotation.RollbackIntent{From: "rota-2", To: "rota-1", At: at(94), SetBegunAt: at(94), Rejected: "it was refused"}
		})),
		sit("a rollback that didn't work puts the current one back, whatever failed before", rotated(never), at(95), single, failure(rota.StepSet, 25, at(95)), progress(func(p *rotation.Progress) {
			p.Rollback = &rotation.RollbackIntent{From: "rota-2", To: "rota-1", At: at(94), SetBegunAt: at(94), Rejected: "it was refused"}
		}), unready),
		sit("a call's key has its mark, but not its date", served(), at(90).Add(time.Minute), lost("rota-lost", at(90)), issued("O", func(i *rota.Issued) { i.Mark, i.CreatedAt = "rota-lost", at(3) })),
		sit("a key was there before the call whose mark it has", served(), at(90).Add(time.Minute), issued("O", func(i *rota.Issued) { i.Mark, i.CreatedAt = "rota-lost", at(90) }),
			progress(func(p *rotation.Progress) {
				p.Intents = []rotation.Intent{{Version: "rota-lost", At: at(90), Until: at(90), Known: []string{"A", "O"}}}
			})),
		sit("a call's key has its mark, and was used", served(), at(90).Add(time.Minute), lost("rota-lost", at(90)), issued("O", func(i *rota.Issued) { i.Mark, i.Use = "rota-lost", used })),
		sit("the lost key shows up, and a target is behind", served(), at(90).Add(time.Minute), targets, lost("rota-lost", at(90)), issued("O", func(i *rota.Issued) { i.CreatedAt = at(90) })),
		// Drivers.
		sit("a driver asks to promote, that's done, and the store doesn't show it yet", served(), at(90), drive(rota.StepPromote, promoted), tested),
		sit("a driver asks to promote what wasn't tested, that's done, and the store doesn't show it yet", served(), at(90), drive(rota.StepPromote, promoted)),
		sit("a driver asks to test what has lost AWSPENDING", served(), at(90), drive(rota.StepTest, func(v *rota.Version, _ *rotation.Driving) { v.Labels = v.Labels[1:] })),
		sit("a driver asks for a role's password without a limit of roles", rotated(never), at(110), pair, traits(func(t *rota.Traits) { t.Limit = 0 }), drive(rota.StepCreate, plainly)),
		sit("a driver that adopts asks to create, and the previous one in the way isn't Rota's", rotated(never), at(110), version(rota.LabelPrevious, foreign), drive(rota.StepCreate, adopting)),
		sit("a driver that adopts asks to create, and the previous one in the way is Rota's", rotated(never), at(110), drive(rota.StepCreate, adopting)),
		sit("a driver asks to create, and the previous one in the way is inactive but can't be deactivated", rotated(used), at(110), state(undeactivating), issued("A", inactive), drive(rota.StepCreate, plainly)),
		// Failures, and what only a person can do.
		sit("a retirement is due, and a rotation failed", rotated(never), at(100), failure(rota.StepCreate, 3, at(101))),
		sit("a person is to be reminded just now", served(), at(86), manual, progress(func(p *rotation.Progress) { p.DoneAt = at(10) })),
		sit("a renewal failed, waits for a peer, and an older one ends first", rotated(never), at(121), expiring,
			version(rota.LabelPrevious, func(v *rota.Version) { v.ExpiresAt = at(121).Add(2*time.Minute - rotation.EndMargin) }),
			failure(rota.StepCreate, 1, at(121).Add(-time.Minute)), state(func(s *rotation.State) {
				s.Peers = []rotation.Peer{{Apart: rotation.Apart{Secret: "other", By: 12 * time.Hour}, BegunAt: at(121)}}
			})),
		// Retirements.
		sit("a single role's previous version, and the next is due", rotated(never), at(180), single),
		sit("the previous one isn't Rota's, and the list isn't known", rotated(never), at(100), version(rota.LabelPrevious, foreign), state(unasked)),
		sit("a previous one that can't be deactivated is gone", rotated(never), at(110), state(undeactivating), gone("A")),
		sit("a previous one was deactivated, and the list doesn't have it", rotated(never), at(105), gone("A"), done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.DeactivatedAt = at(100) })),
		sit("a previous one was deactivated by an older Rota, and can't be", rotated(never), at(105), state(unlisting), state(undeactivating), done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.DeactivatedAt = at(100) })),
		sit("what expires can't be deactivated, and its targets have it", rotated(never), at(91), expiring, targets, done(rota.LabelCurrent, func(vp *rotation.VersionProgress) { vp.Delivered = map[string]time.Time{"t": at(90)} })),
		sit("the grace is over, and an issuer that never says lists it", rotated(rota.Use{}), at(100), state(func(s *rotation.State) { s.ReportsNoUse = true })),
		sit("not deactivatable, and the issuer never says", rotated(rota.Use{}), at(110), state(undeactivating), state(func(s *rotation.State) { s.ReportsNoUse = true })),
		sit("the grace is over, the previous one is inactive and isn't Rota's", rotated(never), at(100), issued("A", inactive), version(rota.LabelPrevious, foreign)),
		sit("not deactivatable, inactive, and not Rota's", rotated(never), at(95), state(undeactivating), issued("A", inactive), version(rota.LabelPrevious, foreign)),
		sit("consumers refuse the current one, and nobody was seen to use the previous one", rotated(never), at(95), targets, unserved, refused),
		sit("consumers refuse the current role, and the previous one is off", rotated(never), at(105), pair, targets, unserved, refused, issued("A", inactive), done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.DeactivatedAt = at(100) })),
		sit("consumers never had the current one, which is dead", rotated(never), at(95), targets, unserved, issued("B", inactive)),
		sit("what expires has ended, and nobody has been asked who holds it", rotated(never), at(91), expiring, version(rota.LabelPrevious, func(v *rota.Version) { v.ExpiresAt = at(80) }),
			state(func(s *rotation.State) { s.AsksHolders = true })),
		sit("delivering fails, but consumers don't refuse it, and the previous one is off", rotated(never), at(105), targets, unserved, failure(rota.StepDeliver, 3, at(106)), issued("A", inactive),
			done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.DeactivatedAt = at(100) })),
		sit("consumers refuse the current one, there's no previous one, and nothing can be deactivated", served(), at(10), targets, refused, state(undeactivating)),
		// Serving.
		sit("three targets are behind", served(), at(1), state(func(s *rotation.State) { s.Targets = []string{"t1", "t2", "t3"} })),
		sit("four targets are behind", served(), at(1), state(func(s *rotation.State) { s.Targets = []string{"t1", "t2", "t3", "t4"} })),
		sit("all targets have it, but it isn't marked", served(), at(1), targets, done(rota.LabelCurrent, func(vp *rotation.VersionProgress) {
			vp.Delivered, vp.ServedAt = map[string]time.Time{"t": day0}, time.Time{}
		})),
		sit("a target has it, a reloader doesn't, and delivering failed before", served(), at(1), targets, state(func(s *rotation.State) { s.Reloaders = []string{"r"} }), failure(rota.StepDeliver, 2, at(2)),
			done(rota.LabelCurrent, func(vp *rotation.VersionProgress) { vp.Delivered = map[string]time.Time{"t": day0} })),
		// Room.
		sit("the next is due, nothing is deactivatable, and the previous one was switched off", rotated(never), at(95), state(undeactivating), issued("A", inactive), every(5)),
		sit("the next is due, and delivering the current one failed", rotated(never), at(95), every(5), failure(rota.StepDeliver, 3, at(95), rota.Outside("grant it")...)),
		sit("the next is due, and deleting the previous one was given up", rotated(never), at(95), every(5), failure(rota.StepDelete, 20, at(95), rota.Outside("grant it")...)),
		sit("the next is due, the previous one isn't Rota's, and neither is the current", rotated(never), at(95), every(5), version(rota.LabelPrevious, foreign), version(rota.LabelCurrent, foreign)),
		sit("the previous one is gone, and a call's answer was lost just now", rotated(never), at(180).Add(5*time.Second), gone("A"), lost("rota-lost", at(180))),
		sit("the previous one is gone, and a call's answer has just settled", rotated(never), at(180).Add(10*time.Second), gone("A"), lost("rota-lost", at(180))),
		sit("something on its way has the other place", served(), at(90), pending("C", 90, fresh), issued("C", func(*rota.Issued) {}), stranger, version(rota.LabelCurrent, func(v *rota.Version) { v.CredentialID = rota.NoCredential })),
		sit("a failure was to be mended in rota.yaml", served(), at(90), progress(func(p *rotation.Progress) {
			p.Rejections, p.RejectedAt, p.RejectedFor = 4, at(89), []rota.Remedy{{Action: rota.RemedyConfigure, Text: "timeout: 1m"}}
		})),
		sit("a failure was to be mended by a command", served(), at(90), progress(func(p *rotation.Progress) {
			p.Rejections, p.RejectedAt, p.RejectedFor = 4, at(89), []rota.Remedy{{Action: rota.RemedyCommand, Text: "ls"}}
		})),
	}
}

// held are those in which consumers may tell that they hold the previous credential.
func held() []situation {
	asks := state(func(s *rotation.State) { s.AsksHolders = true })
	by := func(names ...string) change {
		return state(func(s *rotation.State) {
			s.AsksHolders, s.HoldersKnown = true, true
			for _, n := range names {
				s.Holdings = append(s.Holdings, rotation.Holding{Reason: "by " + n, Remedies: rota.Outside("restart " + n)})
			}
		})
	}
	rejected := func(vp *rotation.VersionProgress) { vp.SetBegunAt, vp.Rejected = at(100), "no" }
	return []situation{
		sit("the grace is over, and nobody has been asked who holds it", rotated(never), at(100), asks),
		sit("the grace is over, and nobody holds it", rotated(never), at(100), by()),
		sit("the grace is over, and one consumer holds it", rotated(never), at(100), by("pod-1")),
		sit("the grace is over, and two consumers hold it", rotated(never), at(100), by("pod-1", "pod-2")),
		sit("the grace is over, nobody has been asked who holds it, and it's inactive", rotated(never), at(100), asks, issued("A", inactive)),
		sit("the grace is over, nobody has been asked who holds it, and it's gone", rotated(never), at(100), asks, gone("A")),
		sit("the grace is over, nobody has been asked who holds it, and the issuer can't list", rotated(never), at(100), asks, state(unlisting)),
		sit("not deactivatable, its grace periods are over, and nobody has been asked who holds it", rotated(never), at(110), asks, state(undeactivating)),
		sit("the second grace is over, and nobody has been asked who holds it", rotated(never), at(110), asks, issued("A", inactive),
			done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.DeactivatedAt = at(100) })),
		sit("a rejected key is given up, and nobody has been asked who holds the previous one", rotated(never), at(100), asks, traits(func(t *rota.Traits) { t.Limit = 3 }),
			pending("C", 100, rejected), issued("C", func(*rota.Issued) {})),
	}
}

// lockedOut are those in which somebody locked the account of the current
// credential.
func lockedOut() []situation {
	locked := issued("A", func(i *rota.Issued) { i.Active, i.Unlock = false, "unlock it" })
	fresh := func(*rotation.VersionProgress) {}
	return []situation{
		sit("a role is locked", served(), at(10), single, locked),
		sit("a role is locked, and the next password is due", served(), at(90), single, locked),
		sit("a role is locked, and its next password has to be set", served(), at(90), single, locked, pending("A", 90, fresh)),
		sit("a role was locked after its next password was set", served(), at(90), single, locked, pending("A", 90, func(vp *rotation.VersionProgress) { vp.SetAt = at(90) })),
		sit("a new password has to be set, and the list isn't known", served(), at(90), single, pending("A", 90, fresh), state(unasked)),
		sit("a role of a pair is locked", served(), at(10), pair, locked),
		sit("a role of a pair is locked, and the other's password is due", served(), at(90), pair, locked),
	}
}

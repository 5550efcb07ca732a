package rotation_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

func situations() []situation {
	return slices.Concat(firsts(), currents(), underWay(), retirements(), schedules(), failures(), drifts(), driven(), expiries(), rare(), lockedOut(), held(), oneWays(), earlyEnds(), kinds())
}

// firsts are those in which nothing is current yet.
func firsts() []situation {
	stranger := func(id string) change {
		return issued(id, func(i *rota.Issued) { i.CreatedAt = at(-9) })
	}
	broken := func(s *situation) {
		s.state.Contents.Versions = []rota.Version{{ID: "rota-1", Labels: []rota.Label{rota.LabelCurrent}, CreatedAt: day0, CredentialID: rota.NoCredential}}
	}
	return []situation{
		sit("nothing was ever issued", empty(), day0),
		sit("nothing was ever issued, and the issuer hasn't been asked", empty(), day0, state(unasked)),
		sit("nothing was ever issued, and the issuer can't list", empty(), day0, state(unlisting)),
		sit("nothing was ever issued, but the issuer has one", empty(), day0, stranger("X")),
		sit("nothing was ever issued, but the issuer is full", empty(), day0, stranger("X"), stranger("Y")),
		sit("nothing was ever issued, but the issuer is full of strangers, one of them inactive", empty(), day0, stranger("X"), stranger("Y"), issued("Y", inactive)),
		sit("a role has a password that Rota doesn't know", empty(), day0, stranger("A"), func(s *situation) { s.state.Traits = pgLike }),
		sit("one role of a pair has a password that Rota doesn't know", empty(), day0, stranger("A"), pair),
		sit("both roles of a pair have passwords that Rota doesn't know", empty(), day0, stranger("A"), stranger("B"), pair),
		sit("what expires is issued whatever there is", empty(), day0, expiring),
		sit("the current version holds no credential", empty(), day0, broken),
		sit("the current version holds no credential, and the issuer has one", empty(), day0, broken, stranger("X")),
		sit("the current version holds no credential, but the previous one does", rotated(never), at(95), version(rota.LabelCurrent, func(v *rota.Version) { v.CredentialID = rota.NoCredential })),
		sit("the current version holds no credential, and the previous one isn't Rota's", rotated(never), at(95),
			version(rota.LabelCurrent, func(v *rota.Version) { v.CredentialID = rota.NoCredential }), version(rota.LabelPrevious, foreign)),
		sit("the last first credential was given up", empty(), day0, progress(func(p *rotation.Progress) {
			p.Rejections, p.RejectedAt, p.RejectedWhy = 2, day0.Add(-time.Minute), "test failed"
		})),
	}
}

// currents are those in which there's nothing to do but to rotate in time.
func currents() []situation {
	rejected := func(n int, ago time.Duration) change {
		return progress(func(p *rotation.Progress) {
			p.Rejections, p.RejectedAt, p.RejectedFor, p.RejectedWhy = n, at(90).Add(-ago), rota.Outside("mend it"), "set failed: no"
		})
	}
	return []situation{
		sit("a young credential", served(), at(10)),
		sit("a young one, and a long-gone list", served(), at(10), state(unasked)),
		sit("an old credential", served(), at(90)),
		sit("an old credential of which the list isn't known", served(), at(90), state(unasked)),
		sit("an old credential of an issuer that can't list", served(), at(90), state(unlisting)),
		sit("an old password of a single role", served(), at(90), single),
		sit("an old password of a single role, with a shorter test", served(), at(90), single, policy(func(p *rotation.Policy) { p.TestWithin = 5 * time.Second })),
		sit("an old password of a pair", served(), at(90), pair),
		sit("the issuer's date counts where it chooses the value", served(), at(80), issued("A", func(i *rota.Issued) { i.CreatedAt = at(-10) })),
		sit("and the version's where Rota does", served(), at(80), pair, issued("A", func(i *rota.Issued) { i.CreatedAt = at(-10) })),
		sit("a stranger takes the second place", served(), at(90), issued("X", func(*rota.Issued) {})),
		sit("a stranger takes the second place of a pair", served(), at(90), pair, issued("X", func(*rota.Issued) {})),
		sit("a third place is free", served(), at(90), issued("X", func(*rota.Issued) {}), traits(func(t *rota.Traits) { t.Limit = 3 })),
		sit("the current one is inactive", served(), at(10), issued("A", inactive)),
		sit("the current one is gone", served(), at(10), gone("A")),
		sit("the current one is inactive and a stranger has the second place", served(), at(10), issued("A", inactive), issued("X", func(*rota.Issued) {})),
		sit("the current one is gone, and strangers have both places", served(), at(10), gone("A"), issued("X", func(*rota.Issued) {}), issued("Y", inactive)),
		sit("the list may not show the current one yet, and a target is behind", served(), day0.Add(5*time.Second), gone("A"), state(func(s *rotation.State) { s.Targets = []string{"t"} })),
		sit("the list may not show the current one yet", served(), day0.Add(5*time.Second), gone("A")),
		sit("the list may not show that it was reactivated for a rollback", served(), at(10).Add(5*time.Second), issued("A", inactive), done(rota.LabelCurrent, func(vp *rotation.VersionProgress) { vp.PromotedAt = at(10) })),
		sit("the current one is gone, but the previous one is active", rotated(never), at(95), gone("B")),
		sit("the current one is gone, and the previous one isn't Rota's", rotated(never), at(95), gone("B"), version(rota.LabelPrevious, foreign)),
		sit("both are inactive", rotated(never), at(95), issued("A", inactive), issued("B", inactive)),
		sit("the current one is inactive, the previous one gone", rotated(never), at(95), gone("A"), issued("B", inactive)),
		sit("the current one isn't Rota's", served(), at(90), version(rota.LabelCurrent, foreign)),
		sit("the current one isn't Rota's, and is inactive", served(), at(90), version(rota.LabelCurrent, foreign), issued("A", inactive)),
		sit("the current one isn't Rota's, and the list isn't known", served(), at(90), version(rota.LabelCurrent, foreign), state(unasked)),
		sit("the current one isn't Rota's, and expires by itself", served(), at(10), version(rota.LabelCurrent, foreign), expiring),
		sit("somebody replaced Rota's current one", rotated(never), at(95), version(rota.LabelCurrent, foreign)),
		sit("somebody replaced Rota's current one while a new one was on its way", rotated(never), at(95), version(rota.LabelCurrent, foreign), pending("C", 94, func(*rotation.VersionProgress) {})),
		sit("somebody replaced Rota's current one while a new one was on its way that didn't work", rotated(never), at(95), version(rota.LabelCurrent, foreign),
			pending("C", 94, func(vp *rotation.VersionProgress) { vp.Rejected = "no" })),
		sit("the store was restored, and its current one is refused", served(), at(10), state(func(s *rotation.State) { s.Outdated = at(9) })),
		sit("the store was restored, and a new one is on its way", served(), at(10), state(func(s *rotation.State) { s.Outdated = at(9) }), pending("C", 10, func(*rotation.VersionProgress) {})),
		sit("the last rotation was rolled back", rotated(never), at(95), progress(func(p *rotation.Progress) { p.RolledBackAt = at(92) })),
		sit("the last rotation was rolled back, and the next is due", rotated(never), at(180), progress(func(p *rotation.Progress) { p.RolledBackAt = at(92) })),
		sit("the last rotation was rolled back, what was given up is gone, and the next is due", rotated(never), at(180), gone("A"), progress(func(p *rotation.Progress) { p.RolledBackAt = at(92) })),
		sit("the last rotation was rolled back, strangers fill the issuer, and the next is due", rotated(never), at(180), gone("A"), issued("X", inactive), progress(func(p *rotation.Progress) { p.RolledBackAt = at(92) })),
		sit("the last rotation was rolled back, nothing is previous any more, and a stranger fills the issuer", served(), at(90), issued("X", inactive), progress(func(p *rotation.Progress) { p.RolledBackAt = at(9) })),
		sit("the last rotation was rolled back, before_create", rotated(never), at(180), policy(func(p *rotation.Policy) { p.Retire = rotation.RetireBeforeCreate }), progress(func(p *rotation.Progress) { p.RolledBackAt = at(92) })),
		sit("the last rotation was rolled back, before_create, in the grace", rotated(never), at(95), policy(func(p *rotation.Policy) { p.Retire, p.RotateEvery = rotation.RetireBeforeCreate, 5*rota.Day }), progress(func(p *rotation.Progress) { p.RolledBackAt = at(92) })),
		sit("the last rotation was rolled back, before_create, and what was given up isn't Rota's", rotated(never), at(180), policy(func(p *rotation.Policy) { p.Retire = rotation.RetireBeforeCreate }), version(rota.LabelPrevious, foreign), progress(func(p *rotation.Progress) { p.RolledBackAt = at(92) })),
		sit("one rejected new credential is followed by another", served(), at(90), rejected(1, 6*time.Minute)),
		sit("two rejected new credentials are followed by another, but later", served(), at(90), rejected(2, 6*time.Minute)),
		sit("three rejected new credentials, and later still", served(), at(90), rejected(3, 70*time.Minute)),
		sit("after four only a person starts the next", served(), at(90), rejected(4, 9*rota.Day)),
		sit("a rollback goes on", served(), at(10), progress(func(p *rotation.Progress) {
			p.Rollback = &rotation.RollbackIntent{From: "rota-2", To: "rota-1", At: at(9)}
		})),
		sit("a rollback goes on to a version that's gone", served(), at(10), progress(func(p *rotation.Progress) {
			p.Rollback = &rotation.RollbackIntent{From: "rota-2", To: "rota-0", At: at(9)}
		})),
	}
}

// underWay are those in which a new credential is on its way.
func underWay() []situation {
	fresh := func(*rotation.VersionProgress) {}
	rejected := func(vp *rotation.VersionProgress) {
		vp.SetBegunAt, vp.SetAt, vp.Rejected = at(90), at(90), "test failed"
	}
	first := func(f func(*rotation.VersionProgress)) []change { // of a role that has no current one yet
		return []change{pending("A", 0, f), issued("A", func(*rota.Issued) {}), func(s *situation) { s.state.Traits = pgLike }}
	}
	orphan := func(at, until time.Time, known ...string) change {
		return progress(func(p *rotation.Progress) {
			p.Intents = append(p.Intents, rotation.Intent{Version: "rota-lost", At: at, Until: until, Known: known})
		})
	}
	created := func(when time.Time) change {
		return issued("O", func(i *rota.Issued) { i.CreatedAt = when })
	}
	lost := orphan(at(90), at(90).Add(30*time.Second), "A")
	return []situation{
		sit("a new key has to be tested", served(), at(90), pending("C", 90, fresh)),
		sit("a tested key has to be promoted", served(), at(90), pending("C", 90, func(vp *rotation.VersionProgress) { vp.TestedAt = at(90) })),
		sit("a new password has to be set", served(), at(90), single, pending("A", 90, fresh)),
		sit("a new password was set", served(), at(90), single, pending("A", 90, func(vp *rotation.VersionProgress) { vp.SetAt = at(90) })),
		sit("an adopted credential isn't set", served(), at(90), single, pending("A", 90, fresh), version(rota.LabelPending, func(v *rota.Version) { v.Labels = append(v.Labels, rota.LabelAdopted) })),
		sit("the promoted version still carries AWSPENDING", served(), at(90), version(rota.LabelCurrent, func(v *rota.Version) { v.Labels = append(v.Labels, rota.LabelPending) })),
		sit("a pending version isn't Rota's", served(), at(90), pending("C", 90, fresh), version(rota.LabelPending, foreign)),
		sit("a pending version was current before", served(), at(90), pending("C", 80, func(vp *rotation.VersionProgress) { vp.PromotedAt = at(80) })),
		sit("a pending version is the previous one", rotated(never), at(95), version(rota.LabelPrevious, func(v *rota.Version) { v.Labels = append(v.Labels, rota.LabelPending) })),
		sit("a rejected key is deactivated", served(), at(90), pending("C", 90, rejected), issued("C", func(*rota.Issued) {})),
		sit("a rejected key of which the list isn't known", served(), at(90), pending("C", 90, rejected), state(unasked)),
		sit("a rejected key that's inactive is deleted", served(), at(90), pending("C", 90, rejected), issued("C", inactive)),
		sit("a rejected key that's gone is dropped", served(), at(90), pending("C", 90, rejected)),
		sit("a rejected key that can't be deactivated is deleted", served(), at(90), pending("C", 90, rejected), issued("C", func(*rota.Issued) {}), state(undeactivating)),
		sit("a rejected key of an issuer that can't list is deleted", served(), at(90), pending("C", 90, rejected), state(unlisting)),
		sit("a rejected key that's also the current one is only dropped", served(), at(90), pending("A", 90, rejected)),
		sit("a rejected password gives way to the current one", served(), at(90), single, pending("A", 90, rejected)),
		sit("a rejected password that was never set is only dropped", served(), at(90), single, pending("A", 90, func(vp *rotation.VersionProgress) { vp.Rejected = "set failed" })),
		sit("a rejected password is dropped once the current one is back", served(), at(90), single, pending("A", 90, func(vp *rotation.VersionProgress) { rejected(vp); vp.RestoredAt = at(90) })),
		sit("a rejected first password is dropped", empty(), at(90), append(first(rejected), pendingDay(90))...),
		sit("a role was made while its first password was on its way", empty(), day0, first(fresh)...),
		sit("a role was made while its first password was on its way, asked for by a person", empty(), day0, first(func(vp *rotation.VersionProgress) { vp.Asked = true })...),
		sit("a first password was being set when its process died", empty(), day0, first(func(vp *rotation.VersionProgress) { vp.SetBegunAt = day0 })...),
		sit("a first password is on its way, and the list isn't known", empty(), day0, append(first(fresh), state(unasked))...),
		sit("a first password is on its way, and its role still has none", empty(), day0, append(first(fresh), gone("A"))...),
		sit("a first password is on its way, and the issuer can't list", empty(), day0, append(first(fresh), state(unlisting))...),
		sit("a first password of a pair is on its way", empty(), day0, append(first(fresh), pair)...),
		sit("a first password is on its way next to a previous one", rotated(never), at(95), single, version(rota.LabelCurrent, func(v *rota.Version) { v.Labels = []rota.Label{rota.LabelPending} })),
		sit("a first password is on its way next to a current version without one", empty(), day0, append(first(fresh), state(func(s *rotation.State) {
			s.Contents.Versions = append(s.Contents.Versions, rota.Version{ID: "other", Labels: []rota.Label{rota.LabelCurrent}, CredentialID: rota.NoCredential})
		}))...),
		sit("a call's answer was lost, and the list shows nothing", served(), at(90).Add(time.Minute), lost),
		sit("a call's answer was lost just now", served(), at(90).Add(35*time.Second), lost),
		sit("a call's answer was lost for a version that the store has", served(), at(90).Add(35*time.Second), lost, pending("C", 90, fresh), version(rota.LabelPending, func(v *rota.Version) { v.ID = "rota-lost" })),
		sit("a call's answer was lost, and the list isn't known", served(), at(90).Add(time.Minute), lost, state(unasked)),
		sit("a call's answer was lost at an issuer that can't list", served(), at(90).Add(time.Minute), lost, state(unlisting)),
		sit("the lost key shows up", served(), at(90).Add(time.Minute), lost, created(at(90))),
		sit("the lost key shows up at once", served(), at(90).Add(35*time.Second), lost, created(at(90))),
		sit("the lost key shows up at an issuer that can't deactivate", served(), at(90).Add(time.Minute), lost, created(at(90)), state(undeactivating)),
		sit("the lost key is inactive by now", served(), at(90).Add(time.Minute), lost, created(at(90)), issued("O", inactive)),
		sit("a key was there before the call", served(), at(90).Add(time.Minute), orphan(at(90), at(90).Add(30*time.Second), "A", "O"), created(at(90))),
		sit("a key is two minutes older than the call", served(), at(90).Add(time.Minute), lost, created(at(90).Add(-2*time.Minute))),
		sit("a key is more than two minutes older than the call", served(), at(90).Add(time.Minute), lost, created(at(90).Add(-2*time.Minute-1))),
		sit("a key is two minutes younger than the call", served(), at(90).Add(time.Minute), lost, created(at(90).Add(150*time.Second))),
		sit("a key is more than two minutes younger than the call", served(), at(90).Add(time.Minute), lost, created(at(90).Add(150*time.Second+1))),
		sit("the second of two calls is the one", served(), at(90).Add(time.Minute), orphan(at(50), at(50)), lost, created(at(90))),
		sit("a key from a call was used", served(), at(90).Add(time.Minute), lost, created(at(90)), issued("O", func(i *rota.Issued) { i.Use.At = at(90) })),
		sit("nobody says whether a key from a call was used", served(), at(90).Add(time.Minute), lost, created(at(90)), issued("O", func(i *rota.Issued) { i.Use = rota.Use{} })),
		sit("a key from a call is in the store", served(), at(90).Add(time.Minute), lost, created(at(90)), pending("O", 90, func(vp *rotation.VersionProgress) { vp.TestedAt = at(90) })),
		sit("a key from a call is next to a version whose credential isn't known", served(), at(90).Add(time.Minute), lost, created(at(90)), version(rota.LabelCurrent, func(v *rota.Version) {
			v.Labels = append(v.Labels, rota.LabelServed)
		}), state(func(s *rotation.State) {
			s.Contents.Versions = append(s.Contents.Versions, rota.Version{ID: "rota-9", Labels: []rota.Label{rota.LabelDeactivated}})
		})),
		sit("a key from a call is next to a version that was only announced", served(), at(90).Add(time.Minute), lost, created(at(90)), state(func(s *rotation.State) {
			s.Contents.Versions = append(s.Contents.Versions, rota.Version{ID: "rota-9", Labels: []rota.Label{rota.LabelDeactivated}, Empty: true})
		})),
		sit("a stranger stands before the lost key", served(), at(90).Add(time.Minute), traits(func(t *rota.Traits) { t.Limit = 4 }), lost, issued("X", func(i *rota.Issued) { i.CreatedAt = at(3) }), created(at(90))),
	}
}

// pendingDay moves the pending version to a day.
func pendingDay(n int) change {
	return version(rota.LabelPending, func(v *rota.Version) { v.CreatedAt = at(n) })
}

func TestSituationsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range situations() {
		if seen[s.name] {
			t.Errorf("two are %q", s.name)
		}
		seen[s.name] = true
	}
}

// drifts are those in which the current credential isn't in force any more, or may
// not be.
func drifts() []situation {
	asks := state(func(s *rotation.State) { s.Tells = true })
	drifted := state(func(s *rotation.State) { s.Tells, s.Told, s.Drifted = true, true, true })
	unverified := func(stops bool, since time.Time) func(*situation) {
		return state(func(s *rotation.State) {
			s.Tells, s.Told, s.Unverified = true, true, &rotation.Unverified{Since: since, Stops: stops, Reason: "no login"}
		})
	}
	paused := state(func(s *rotation.State) { s.Halts.Paused = &rotation.Halt{By: "ana", At: at(9)} })
	unready := state(func(s *rotation.State) {
		s.Proves, s.Proven, s.Unready = true, true, []rotation.Unready{{Reason: "no disk"}}
	})
	return []situation{
		sit("not asked whether a password is in force", served(), at(10), single, asks),
		sit("not asked whether a password is in force, and the next one is due", served(), at(90), single, asks, state(func(s *rotation.State) { s.Proves = true })),
		sit("not asked whether a role's password is in force, and the other's is due", served(), at(90), pair, asks),
		sit("not asked whether a role's password is in force, nor whether the next steps would work", served(), at(90), pair, asks, state(func(s *rotation.State) { s.Proves = true })),
		sit("not asked whether a key that can't be listed is in force", served(), at(10), asks, state(unlisting)),
		sit("not asked whether what expires is in force", served(), at(10), expiring, asks),
		sit("not asked whether what only a person rotates is in force", served(), at(10), single, asks, traits(func(t *rota.Traits) { t.Manual = true }), progress(func(p *rotation.Progress) { p.DoneAt = at(5) })),
		sit("not asked whether a restored store's password is in force", served(), at(10), single, asks, state(func(s *rotation.State) { s.Outdated = at(9) })),
		sit("a key in the list is in force", served(), at(10), asks),
		sit("a password that's on its way may be in force", served(), at(10), single, asks, pending("A", 10, func(vp *rotation.VersionProgress) { vp.SetBegunAt = at(10) })),
		sit("a password isn't in force", served(), at(10), single, drifted),
		sit("a password isn't in force, and the next one is due", served(), at(90), single, drifted),
		sit("a password isn't in force, and the next one is made from it", served(), at(90), single, drifted, traits(func(t *rota.Traits) { t.FromCurrent = true })),
		sit("a role's password isn't in force", served(), at(10), pair, drifted),
		sit("a role's password isn't in force, and the other's is due", served(), at(90), pair, drifted),
		sit("a role's password isn't in force, and the previous role is in use", rotated(rota.Use{Evidence: rota.EvidenceRecorded, At: at(99)}), at(100), pair, drifted),
		sit("a role's password isn't in force, and the previous role isn't Rota's", rotated(never), at(100), pair, drifted, version(rota.LabelPrevious, foreign)),
		sit("a role's password isn't in force, and it's paused", served(), at(90), pair, drifted, paused),
		sit("a role's password isn't in force, and the next steps would fail", served(), at(90), pair, drifted, unready),
		sit("a role's password isn't in force, and its login is off", served(), at(10), pair, drifted, issued("A", inactive)),
		sit("a role's password isn't in force, and the previous role is off for good", rotated(never), at(95), pair, drifted, state(undeactivating), issued("A", inactive)),
		sit("a role's password isn't in force, and the list may not show the previous role yet", rotated(never), at(90).Add(5*time.Second), pair, drifted, gone("A"),
			traits(func(t *rota.Traits) { t.ConsistencyDelay = 10 * time.Second }), done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.PromotedAt = at(90) })),
		sit("a password isn't in force, because a rival changes it too", served(), at(90), single, drifted, state(func(s *rotation.State) {
			s.Rivals = []rotation.Rival{{Reason: "other claims it too", Remedies: rota.Outside("remove one")}}
		})),
		sit("a password isn't in force, because a rollback set the one before and failed then", rotated(never), at(95), single, drifted, failure(rota.StepRollback, 20, at(95)), progress(func(p *rotation.Progress) {
			p.Rollback = &rotation.RollbackIntent{From: "rota-2", To: "rota-1", At: at(94), SetBegunAt: at(94)}
		})),
		sit("a password isn't verified, because the login is denied", served(), at(10), single, unverified(true, at(9))),
		sit("a password isn't verified, and the next one is due", served(), at(90), single, unverified(true, at(9))),
		sit("a password hasn't been verified for an hour", served(), at(10), single, unverified(false, at(10).Add(-time.Hour))),
		sit("a password hasn't been verified for a day", served(), at(10), single, unverified(false, at(9))),
		sit("a role's password isn't verified, and the previous role is in use", rotated(rota.Use{Evidence: rota.EvidenceRecorded, At: at(99)}), at(100), pair, unverified(true, at(99))),
		sit("a role's password isn't verified, and it's paused", served(), at(90), pair, unverified(true, at(99)), paused),
		sit("a password isn't verified, which is known not to be in force", served(), at(10), single, drifted, unverified(true, at(9))),
		sit("a password isn't in force, and somebody else made it", served(), at(10), single, drifted, version(rota.LabelCurrent, foreign)),
	}
}

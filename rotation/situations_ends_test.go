package rotation_test

import (
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// earlyEnds are those in which a credential ends by itself before the policy
// rotates it.
func earlyEnds() []situation {
	monthly, err := rotation.ParseWindow("0 9 1 * *", 4*time.Hour, "UTC")
	if err != nil {
		panic(err)
	}
	yearly, err := rotation.ParseWindow("0 9 1 12 *", 4*time.Hour, "UTC")
	if err != nil {
		panic(err)
	}
	window := func(w *rotation.Window) change { return policy(func(p *rotation.Policy) { p.Window = w }) }
	peer := state(func(s *rotation.State) {
		s.Peers = []rotation.Peer{{Apart: rotation.Apart{Secret: "other", By: 12 * time.Hour}, IssuedAt: s.Contents.Versions[0].CreatedAt, BegunAt: day0}}
	})
	remembered := func(day int) change {
		return done(rota.LabelCurrent, func(vp *rotation.VersionProgress) { vp.EndsAt = at(day) })
	}
	short := policy(func(p *rotation.Policy) {
		p.RotateEvery, p.DeactivatePreviousAfter, p.DeletePreviousAfter = 90*rota.Day, 10*rota.Day, 20*rota.Day
	})
	deactivated := func(s *situation) {
		done(rota.LabelPrevious, func(vp *rotation.VersionProgress) { vp.DeactivatedAt = at(100) })(s)
		issued("A", inactive)(s)
	}
	used := func(day int) change {
		return issued("A", func(i *rota.Issued) { i.Use = rota.Use{Evidence: rota.EvidenceRecorded, At: at(day)} })
	}
	revoked := func(s *situation) {
		expiring(s)
		s.state.Traits.Revocable, s.state.Tells, s.state.Told, s.state.Drifted = true, true, true, true
	}
	return []situation{
		sit("a lease was revoked", served(), at(5), revoked),
		sit("a lease was revoked, as the last look found", served(), at(5), revoked, state(func(s *rotation.State) { s.Told = false })),
		sit("a lease was revoked, and its targets are away", served(), at(5), revoked, state(func(s *rotation.State) { s.Targets = []string{"t"} }), failure(rota.StepDeliver, 2, at(6))),
		sit("a lease was revoked, and making another failed", served(), at(5), revoked, failure(rota.StepCreate, 2, at(6))),
		sit("a lease was revoked, and everything is frozen", served(), at(5), revoked, state(func(s *rotation.State) { s.Halts.Frozen = &rotation.Halt{By: "ann", At: at(4)} })),
		sit("a session that can't be revoked is refused", served(), at(5), revoked, traits(func(t *rota.Traits) { t.Revocable = false })),
		sit("it ends after the next rotation", served(), at(10), endsOn("A", at(200))),
		sit("it ends right when the next rotation is due", served(), at(10), endsOn("A", at(90))),
		sit("it ends before the next rotation", served(), at(10), endsOn("A", at(60))),
		sit("it ends before the next rotation, and that's soon", served(), at(47), endsOn("A", at(60))),
		sit("it ends before the next rotation, and the list isn't known", served(), at(47), remembered(60), state(unasked)),
		sit("it lives for hours", served(), at(0).Add(7*time.Hour), endsOn("A", at(0).Add(12*time.Hour))),
		sit("it lives for hours, and two thirds are over", served(), at(0).Add(8*time.Hour), endsOn("A", at(0).Add(12*time.Hour))),
		sit("its own field says that it ends", served(), at(47), version(rota.LabelCurrent, func(v *rota.Version) { v.ExpiresAt = at(60) })),
		sit("it's a token that can't be deactivated, and ends", served(), at(40), endsOn("A", at(60)), state(undeactivating)),
		sit("it ends, and a schedule says when", served(), at(10), endsOn("A", at(60)), policy(func(p *rotation.Policy) {
			p.RotateEvery = 0
			p.RotateAt, _ = rotation.ParseCron("0 3 1 1 *", "UTC")
		})),
		sit("it ends, and nothing is scheduled", served(), at(59), endsOn("A", at(60)), policy(func(p *rotation.Policy) { p.RotateEvery = 0 })),
		sit("it ended, and nothing is scheduled", served(), at(61), remembered(60), gone("A"), policy(func(p *rotation.Policy) { p.RotateEvery = 0 })),
		sit("its account ends", served(), at(59), issued("A", func(i *rota.Issued) { i.ExpiresAt, i.EndsWithAccount = at(60), true })),
		sit("its account has ended", served(), at(61), issued("A", func(i *rota.Issued) { i.ExpiresAt, i.EndsWithAccount, i.Active = at(60), true, false })),
		sit("it was made early, and ends when the one before did", served(), at(59), endsOn("A", at(60)), done(rota.LabelCurrent, func(vp *rotation.VersionProgress) { vp.EarlyFor = at(60) })),
		sit("it has ended, and is listed", served(), at(61), endsOn("A", at(60))),
		sit("it has ended, and isn't listed any more", served(), at(61), remembered(60), gone("A")),
		sit("it has ended, and its targets are away", served(), at(61), remembered(60), gone("A"), state(func(s *rotation.State) { s.Targets = []string{"t"} })),
		sit("it has ended, and other steps wouldn't succeed", served(), at(61), remembered(60), gone("A"), state(func(s *rotation.State) {
			s.Proves, s.Proven, s.Unready = true, true, []rotation.Unready{{Reason: "no disk"}}
		})),
		sit("it has ended, and the next one is made from it", served(), at(61), remembered(60), gone("A"), traits(func(t *rota.Traits) { t.Limit, t.Replaces = 1, true })),
		sit("it's gone before its end", served(), at(20), remembered(60), gone("A")),
		sit("a password has ended", served(), at(61), single, endsOn("A", at(60)), state(func(s *rotation.State) { s.Proves, s.Tells = true, true })),
		sit("it ends, and a window opens in time", served(), at(10), endsOn("A", at(70)), window(monthly)),
		sit("it ends, and the next window opens too late", served(), at(10), endsOn("A", at(75)), window(monthly)),
		sit("it ends, and no window opens in time", served(), at(40), endsOn("A", at(60)), window(yearly)),
		sit("it ends soon, and the window was missed", served(), at(57), endsOn("A", at(60)), window(yearly)),
		sit("it ends, and a blackout begins before", served(), at(10), endsOn("A", at(60)), policy(func(p *rotation.Policy) {
			p.Blackouts = []rotation.Blackout{{From: at(40), Until: at(70), Why: "year's end"}}
		})),
		sit("it ends, and its peer is being rotated", served(), at(50), endsOn("A", at(60)), peer),
		sit("it ends soon, and its peer is being rotated", served(), at(57), endsOn("A", at(60)), peer),
		sit("it ends, and the first rotation is put off", served(), at(10), endsOn("A", at(60)), progress(func(p *rotation.Progress) { p.NotBefore = at(50) })),
		sit("it ends, and the first rotation is put off beyond that", served(), at(10), endsOn("A", at(60)), progress(func(p *rotation.Progress) { p.NotBefore = at(80) })),
		sit("it ends, and the fleet is spread", served(), at(10), endsOn("A", at(60)), policy(func(p *rotation.Policy) { p.Jitter = 10 * rota.Day })),
		sit("it ends, and the last rotation was rolled back", served(), at(50), endsOn("A", at(60)), progress(func(p *rotation.Progress) { p.RolledBackAt = at(20) })),
		sit("it ends soon, and the last rotation was rolled back", served(), at(57), endsOn("A", at(60)), progress(func(p *rotation.Progress) { p.RolledBackAt = at(20) })),
		sit("it ends soon, and creating failed for the last time", served(), at(57), endsOn("A", at(60)), failure(rota.StepCreate, 20, at(57))),
		sit("it ends, and creating failed for the last time", served(), at(50), endsOn("A", at(60)), failure(rota.StepCreate, 20, at(50))),
		sit("it ends, and new ones don't work", served(), at(50), endsOn("A", at(60)), progress(func(p *rotation.Progress) { p.Rejections, p.RejectedAt = 3, at(49) })),
		sit("it ends, and is paused", served(), at(61), endsOn("A", at(60)), state(func(s *rotation.State) { s.Halts.Paused = &rotation.Halt{By: "ann", At: at(1)} })),
		sit("it ends early, and the previous one is in its second grace", rotated(never), at(104), endsOn("B", at(110)), deactivated, short),
		sit("it ends early, and the previous one is in its first grace", rotated(never), at(93), endsOn("B", at(96)), short),
		sit("it ends soon, and the previous one is in its first grace", rotated(never), at(96), endsOn("B", at(96).Add(time.Hour)), short),
		sit("it ends soon, and the previous one is in use", rotated(rota.Use{Evidence: rota.EvidenceRecorded, At: at(95)}), at(96), endsOn("B", at(96).Add(time.Hour)), short),
		sit("the previous one has ended in its grace", rotated(never), at(96), endsOn("A", at(95))),
		sit("the previous one has ended in its grace, and the issuer can't say whether it's used", rotated(rota.Use{}), at(96), endsOn("A", at(95))),
		sit("the previous one has ended, and holders aren't known", rotated(never), at(96), endsOn("A", at(95)), state(func(s *rotation.State) { s.AsksHolders = true })),
		sit("the previous one has ended, and was used since", rotated(never), at(101), endsOn("A", at(95)), used(100)),
		sit("the previous one has ended this minute", rotated(never), at(95), endsOn("A", at(95))),
		sit("the previous one has ended before its date, and isn't Rota's", rotated(never), at(96), endsOn("A", at(95)), version(rota.LabelPrevious, foreign)),
		sit("the previous one has ended, and its successor isn't served", rotated(never), at(96), endsOn("A", at(95)), state(func(s *rotation.State) { s.Targets = []string{"t"} })),
		sit("the previous one was deactivated, and has ended", rotated(never), at(103), deactivated, endsOn("A", at(102))),
		sit("the previous one can't be deactivated, and has ended", rotated(rota.Use{}), at(96), endsOn("A", at(95)), state(undeactivating)),
	}
}

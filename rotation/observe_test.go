package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// guarded is a role whose account somebody may lock, and that the list may hide.
type guarded struct {
	*memory.Password
	listed []rota.Issued
	unlock string
	fault  error
	asked  []string
}

func (g *guarded) List(context.Context) ([]rota.Issued, error) { return slices.Clone(g.listed), nil }

func (g *guarded) Locked(_ context.Context, id string) (string, error) {
	g.asked = append(g.asked, id)
	return g.unlock, g.fault
}

// Whether somebody locked the account is asked only where the list may hide it.
func TestWhetherTheAccountIsLockedIsAskedIfTheListMayHideIt(t *testing.T) {
	const unlock = "ALTER ROLE app LOGIN"
	app := rota.Issued{ID: "app", Active: true}
	off := rota.Issued{ID: "app"}
	shown := rota.Issued{ID: "app", Unlock: unlock}
	other := rota.Issued{ID: "other"}
	for name, test := range map[string]struct {
		listed []rota.Issued
		unlock string
		empty  bool // the store has no credential
		asked  int
		want   []rota.Issued
		locked bool
	}{
		"it's active":                        {listed: []rota.Issued{other, app}, unlock: unlock, want: []rota.Issued{other, app}},
		"it's inactive, and isn't locked":    {listed: []rota.Issued{off}, asked: 1, want: []rota.Issued{off}},
		"it's inactive, and locked":          {listed: []rota.Issued{other, off}, unlock: unlock, asked: 1, want: []rota.Issued{other, shown}, locked: true},
		"it comes first, and is locked":      {listed: []rota.Issued{off, other}, unlock: unlock, asked: 1, want: []rota.Issued{shown, other}, locked: true},
		"it isn't there, and isn't locked":   {listed: []rota.Issued{other}, asked: 1, want: []rota.Issued{other}},
		"it isn't there, and is locked":      {listed: []rota.Issued{other}, unlock: unlock, asked: 1, want: []rota.Issued{other, shown}, locked: true},
		"the list shows that it's locked":    {listed: []rota.Issued{shown}, unlock: "something else", want: []rota.Issued{shown}, locked: true},
		"there's no current one":             {listed: []rota.Issued{other}, unlock: unlock, empty: true, want: []rota.Issued{other}},
		"the current one isn't a credential": {listed: []rota.Issued{other}, unlock: unlock, want: []rota.Issued{other}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			g := &guarded{Password: memory.NewPassword("app", memory.RolesOptions{}), listed: test.listed, unlock: test.unlock}
			b.secret.Issuer = g
			switch {
			case strings.HasSuffix(name, "isn't a credential"):
				b.store.Plant("rota-1", rota.NewCredential(map[string]string{"note": "x"}), rota.LabelCurrent)
			case !test.empty:
				b.store.Plant("rota-1", g.Plant("app", "in use"), rota.LabelCurrent, rota.LabelServed)
			}
			b.days(1)
			state, _, err := b.rotator.Observe(t.Context(), b.secret)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, state.Issued); diff != "" || !state.Listed {
				t.Errorf("listed %t: %s", state.Listed, diff)
			}
			if len(g.asked) != test.asked || test.asked > 0 && g.asked[0] != "app" {
				t.Errorf("it asked about %v", g.asked)
			}
			said := false
			for _, f := range rotation.Preflight(t.Context(), b.secret) {
				said = said || strings.Contains(f.Detail, "somebody locked app")
			}
			if said != test.locked {
				t.Errorf("rota check says that it's locked: %t", said)
			}
			g.asked = nil
			g.fault = errors.New("no answer")
			if _, _, err := b.rotator.Observe(t.Context(), b.secret); (err != nil) != (test.asked > 0) || err != nil && !strings.Contains(err.Error(), "see whether app is locked") {
				t.Errorf("without an answer: %v", err)
			}
		})
	}
}

// sampled are credentials whose use is seen only while it lasts.
type sampled struct {
	*memory.AccessKeys
	own    []rota.Issued // List returns it as it is
	inUse  map[string]bool
	failed error
}

func (s *sampled) List(ctx context.Context) ([]rota.Issued, error) {
	if s.own != nil {
		return s.own, nil
	}
	issued, err := s.AccessKeys.List(ctx)
	slices.SortFunc(issued, func(a, b rota.Issued) int { return b.CreatedAt.Compare(a.CreatedAt) }) // strangers first
	return issued, err
}

func (s *sampled) LastUsed(_ context.Context, id string) (rota.Use, error) {
	u := rota.Use{Evidence: rota.EvidenceSampled}
	if s.inUse[id] {
		u.At, u.Detail = day0, "10.0.0.7"
	}
	return u, s.failed
}

func newSampled(t *testing.T) (b *bench, s *sampled, previous string) {
	t.Helper()
	b = newBench(t)
	o := memory.Options{Now: func() time.Time { return b.now }, Faults: b.faults.Fault}
	b.keys = memory.NewAccessKeys(memory.AccessKeysOptions{Options: o, Settle: 10 * time.Second, Limit: 3})
	s = &sampled{AccessKeys: b.keys, inUse: map[string]bool{}}
	b.secret.Issuer = s
	b.advance(t, rotation.Options{})
	b.days(90)
	b.advance(t, rotation.Options{})
	_, c, _ := b.store.Read(rota.LabelPrevious)
	return b, s, b.keys.CredentialID(c)
}

// Looks in a row that find the previous credential idle are counted. One that finds it
// in use begins anew, and what others use doesn't count.
func TestLooksThatFindThePreviousCredentialIdleAreCounted(t *testing.T) {
	b, s, previous := newSampled(t)
	stranger := b.keys.CredentialID(b.keys.Plant())
	look := func(inUse ...string) (samples int, since time.Time) {
		t.Helper()
		b.now = b.now.Add(2 * time.Hour)
		clear(s.inUse)
		for _, id := range inUse {
			s.inUse[id] = true
		}
		b.advance(t, rotation.Options{})
		id, _, _ := b.store.Read(rota.LabelPrevious)
		vp := b.progress(t).Versions[id]
		return vp.QuietSamples, vp.QuietSince
	}
	look(previous)
	first := b.now.Add(2 * time.Hour)
	for n := 1; n <= 3; n++ {
		if samples, since := look(stranger); samples != n || !since.Equal(first) {
			t.Errorf("after %d looks: %d since %s, want %s", n, samples, since, first)
		}
	}
	if samples, since := look(previous); samples != 0 || !since.IsZero() {
		t.Errorf("in use: %d since %s", samples, since)
	}
	if samples, since := look(); samples != 1 || !since.Equal(b.now) {
		t.Errorf("after that: %d since %s, want %s", samples, since, b.now)
	}
}

// What the issuer can't say about a use counts as use, and the plan says why without
// any value.
func TestAnAnswerAboutUseThatFailed(t *testing.T) {
	b, s, previous := newSampled(t)
	_, c, _ := b.store.Read(rota.LabelCurrent)
	s.failed = rota.WithRemedies(fmt.Errorf("denied to %s", c.Field(rota.FieldSecretAccessKey)), rota.Outside("grant it"))
	b.days(10)
	b.advance(t, rotation.Options{})
	state, plan, err := b.rotator.Observe(t.Context(), b.secret)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(state.Issued, func(i rota.Issued) bool { return i.ID == previous })
	if use := state.Issued[i].Use; use.Evidence != rota.EvidenceUnknown || !use.At.IsZero() || !strings.Contains(use.Detail, "its answer: denied to") || rota.Hint(use.Remedies) != "grant it" {
		t.Errorf("its use is %+v", use)
	}
	r := b.advance(t, rotation.Options{Force: rota.StepDeactivate}) // which reads the current value
	if plan.Hold != rotation.HoldInUse || r.Last.Hold != rotation.HoldInUse {
		t.Errorf("the plan is %+v, and it said %+v", plan, r.Last)
	}
}

// A list belongs to the issuer: what Rota notes about its own calls isn't written there.
func TestTheIssuersListIsItsOwn(t *testing.T) {
	b, s, previous := newSampled(t)
	issued, err := s.AccessKeys.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.own = issued
	want := slices.Clone(issued)
	for i := range want {
		want[i].Use = rota.Use{}
	}
	b.days(40)
	s.failed = nil
	for range 4 {
		b.advance(t, rotation.Options{})
		b.days(3)
	}
	if active := slices.ContainsFunc(b.keys.Keys(), func(i rota.Issued) bool { return i.ID == previous && i.Active }); active {
		t.Fatal("it wasn't deactivated")
	}
	for i := range s.own {
		s.own[i].Use = rota.Use{}
	}
	if diff := cmp.Diff(want, s.own); diff != "" {
		t.Error(diff)
	}
}

// byValue lists credentials by what it was shown of their values.
type byValue struct {
	*memory.AccessKeys
	lists bool
}

func (v *byValue) Traits() rota.Traits {
	t := v.AccessKeys.Traits()
	t.ListsByValue = v.lists
	return t
}

// A version never changes, so its value is read once and what it's called is
// remembered, unless the issuer has to see the value in each process.
func TestHowOftenAValueIsRead(t *testing.T) {
	for name, test := range map[string]struct {
		issuer func(*bench) rota.Issuer
		blank  bool // a version without a credential
		want   int
	}{
		"the issuer lists names":                         {func(b *bench) rota.Issuer { return &byValue{b.keys, false} }, false, 0},
		"the issuer lists by value":                      {func(b *bench) rota.Issuer { return &byValue{b.keys, true} }, false, 1},
		"credentials end by themselves":                  {func(b *bench) rota.Issuer { return &leased{b: b, revoked: map[string]bool{}} }, false, 0},
		"they do, and a version holds none":              {func(b *bench) rota.Issuer { return &leased{b: b, revoked: map[string]bool{}} }, true, 0},
		"the issuer lists by value, and one is no value": {func(b *bench) rota.Issuer { return &byValue{b.keys, true} }, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.secret.Issuer = test.issuer(b)
			b.secret.Policy = rotation.Policy{DriftCheck: rotation.DriftPassive}
			if test.blank {
				b.store.Plant("blank", rota.NewCredential(map[string]string{"note": "x"}), rota.LabelCurrent)
			}
			b.advance(t, rotation.Options{Force: rota.StepCreate})
			reads := 0
			b.strike = func(c memory.Call) memory.Fault {
				if c.Op == "store.get" {
					reads++
				}
				return memory.Fault{}
			}
			b.now = b.now.Add(time.Minute)
			if _, _, err := b.rotator.Observe(t.Context(), b.secret); err != nil {
				t.Fatal(err)
			}
			if reads != test.want {
				t.Errorf("it read %d values, want %d", reads, test.want)
			}
		})
	}
}

// neverUsed are keys that nobody uses.
type neverUsed struct{ *memory.AccessKeys }

func (neverUsed) LastUsed(context.Context, string) (rota.Use, error) {
	return rota.Use{Evidence: rota.EvidenceRecorded}, nil
}

// busy is a target whose consumers hold one version's predecessor.
type busy struct {
	rota.Target
	holds string // the version that replaced what they hold
	first string // the version that they're asked about first
}

func (b *busy) Holders(_ context.Context, r rota.HoldersRequest) ([]rota.Holder, error) {
	if b.first == "" {
		b.first = r.Version
	}
	if b.holds == "the second" && r.Version != b.first || b.holds == "the first" && r.Version == b.first {
		return []rota.Holder{{Name: "pipeline 7"}}, nil
	}
	return nil, nil
}

// Who holds the previous credential is asked again once another one is the previous,
// in the same turn.
func TestHoldersAreAskedAboutEachPreviousCredential(t *testing.T) {
	b := newBench(t)
	target := &busy{Target: b.target, holds: "the first"}
	b.secret.Issuer, b.secret.Targets = neverUsed{b.keys}, []rota.Target{target}
	b.secret.Policy = rotation.Policy{RotateEvery: 90 * rota.Day, DeactivatePreviousAfter: time.Second, DeletePreviousAfter: time.Second}
	b.advance(t, rotation.Options{})
	b.days(90)
	b.advance(t, rotation.Options{})
	b.days(90)
	target.holds = "the second"
	b.rotator.Report = func(r rotation.Report) {
		if r.Done && r.Decision.Step == rota.StepReload {
			b.now = b.now.Add(10 * time.Second) // longer than the grace
		}
	}
	r := b.advance(t, rotation.Options{})
	if got := steps(r); got != "deactivate delete create test promote deliver reload" || r.Last.Hold != rotation.HoldInUse || r.Last.Next != rota.StepDeactivate {
		t.Errorf("it did %q and says %+v", got, r.Last)
	}
}

// Whether a credential is in force: the issuer's word that it is, or else a login. A
// login that works outweighs the issuer's word that it isn't.
func TestWhetherACredentialIsInForce(t *testing.T) {
	var (
		refused = fmt.Errorf("no: %w", rota.ErrRefused)
		fenced  = fmt.Errorf("late: %w", rota.ErrFenced)
		mute    = errors.New("no answer")
	)
	type answer struct {
		inForce, known bool
		err            error
	}
	for name, test := range map[string]struct {
		check  rotation.DriftCheck
		told   answer
		login  error
		logins int
		want   answer
	}{
		"the issuer keeps it":                                  {told: answer{true, true, nil}, want: answer{true, true, nil}},
		"the issuer keeps another, and it logs in":             {told: answer{false, true, nil}, logins: 1, want: answer{true, true, nil}},
		"the issuer keeps another, and it's refused":           {told: answer{false, true, nil}, login: refused, logins: 1, want: answer{false, true, nil}},
		"the issuer keeps another, and there's no answer":      {told: answer{false, true, nil}, login: mute, logins: 1, want: answer{false, true, nil}},
		"the issuer keeps another, and the lease was lost":     {told: answer{false, true, nil}, login: fenced, logins: 1, want: answer{false, false, fenced}},
		"the issuer can't tell, and it logs in":                {logins: 1, want: answer{true, true, nil}},
		"the issuer can't tell, and it's refused":              {login: refused, logins: 1, want: answer{false, true, nil}},
		"the issuer can't tell, and there's no answer":         {login: mute, logins: 1, want: answer{false, false, mute}},
		"the issuer can't tell, and the lease was lost":        {login: fenced, logins: 1, want: answer{false, false, fenced}},
		"the issuer doesn't answer":                            {told: answer{false, false, mute}, want: answer{false, false, mute}},
		"no login: the issuer keeps it":                        {check: rotation.DriftPassive, told: answer{true, true, nil}, want: answer{true, true, nil}},
		"no login: the issuer keeps another":                   {check: rotation.DriftPassive, told: answer{false, true, nil}, want: answer{false, true, nil}},
		"no login: the issuer can't tell":                      {check: rotation.DriftPassive},
		"no login: the issuer doesn't answer":                  {check: rotation.DriftPassive, told: answer{false, false, mute}, want: answer{false, false, mute}},
		"a credential that it doesn't know it has is no proof": {told: answer{true, false, nil}, login: refused, logins: 1, want: answer{false, true, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			logins := 0
			inForce, known, err := test.check.InForce(
				func() (bool, bool, error) { return test.told.inForce, test.told.known, test.told.err },
				func() error { logins++; return test.login })
			if got := (answer{inForce, known, err}); got != test.want || logins != test.logins {
				t.Errorf("it's %+v after %d logins, want %+v", got, logins, test.want)
			}
		})
	}
}

// An answer is about one version: what's known of another says nothing.
func TestAnAnswerIsAboutOneVersion(t *testing.T) {
	why := &rotation.Unverified{Reason: "no login"}
	drifted := rotation.InForce{Version: "v", Drifted: true, Unverified: why}
	type known struct {
		asked, drifted bool
		unverified     *rotation.Unverified
	}
	for name, test := range map[string]struct {
		told        string
		toldDrifted bool
		tells       bool
		last        rotation.InForce
		want        known
	}{
		"it was asked in this turn":                  {told: "v", toldDrifted: true, tells: true, want: known{asked: true, drifted: true}},
		"it was asked in this turn, and is in force": {told: "v", tells: true, last: drifted, want: known{asked: true, unverified: why}},
		"another was asked in this turn":             {told: "w", toldDrifted: true, tells: true, want: known{}},
		"nobody asked in a turn that asks":           {tells: true, last: drifted, want: known{drifted: true, unverified: why}},
		"nobody asks":                                {last: drifted, want: known{asked: true, drifted: true, unverified: why}},
		"nobody asks, and another was the last":      {last: rotation.InForce{Version: "w", Drifted: true, Unverified: why}, want: known{asked: true}},
		"nobody asks, and it was in force":           {last: rotation.InForce{Version: "v"}, want: known{asked: true}},
	} {
		asked, isDrifted, unverified := rotation.KnownInForce("v", test.told, test.toldDrifted, test.tells, test.last)
		if got := (known{asked, isDrifted, unverified}); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

// Once logins are ruled out, nobody can tell any more: what was found is forgotten.
func TestWithoutLoginsDriftIsForgotten(t *testing.T) {
	d := newDatabase(t, 1)
	d.days(1)
	d.change()
	if got := d.untilNext(t).Last.Hold; got != rotation.HoldDrifted {
		t.Fatalf("it holds %q", got)
	}
	d.secret.Policy.DriftCheck = rotation.DriftPassive
	last := d.untilNext(t).Last
	if last.Hold != rotation.HoldNone || last.Tell || last.Next != rota.StepCreate || d.progress(t).InForce.Drifted {
		t.Errorf("it says %+v and remembers %+v", last, d.progress(t).InForce)
	}
}

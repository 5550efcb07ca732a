package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// crashes runs call and returns the crash that ended it, if any.
func crashes(call func()) (crash memory.Crash, crashed bool) {
	defer func() { crash, crashed = recover().(memory.Crash) }()
	call()
	return
}

func TestACrashTakesEffectAndHoldsNoLock(t *testing.T) {
	var injector memory.Injector
	var seen []memory.Effect
	keys := memory.NewAccessKeys(memory.AccessKeysOptions{Options: memory.Options{System: "iam", Faults: injector.Fault,
		Observe: func(e memory.Effect) { seen = append(seen, e) }}})
	injector.Next("issuer.create", memory.Fault{Crash: true})
	crash, crashed := crashes(func() { _, _ = keys.Create(t.Context(), rota.CreateRequest{}) })
	if want := (memory.Call{System: "iam", Op: "issuer.create", N: 1}); !crashed || crash.Call != want {
		t.Fatalf("crashed: %v, in %+v", crashed, crash.Call)
	}
	if got := keys.Keys(); len(got) != 1 || !got[0].Active {
		t.Errorf("after the crash there are %+v", got)
	}
	if len(seen) != 1 || seen[0].ID != keys.Keys()[0].ID || seen[0].Op != "issuer.create" {
		t.Errorf("observed %+v", seen)
	}
	if _, err := keys.Create(t.Context(), rota.CreateRequest{}); err != nil || keys.Calls("issuer.create") != 2 {
		t.Errorf("the next call: %v, %d calls", err, keys.Calls("issuer.create"))
	}
	if injector.Waiting() != 0 {
		t.Error("the fault is still waiting")
	}
}

func TestARepeatedCreateLeavesAnOrphan(t *testing.T) {
	var injector memory.Injector
	keys := memory.NewAccessKeys(memory.AccessKeysOptions{Options: memory.Options{Faults: injector.Fault}})
	injector.Next("issuer.create", memory.Fault{Repeat: true})
	c, err := keys.Create(t.Context(), rota.CreateRequest{})
	if err != nil || len(keys.Keys()) != 2 || !keys.Login(c) {
		t.Fatalf("%v, keys %+v", err, keys.Keys())
	}
	if _, err := keys.Create(t.Context(), rota.CreateRequest{}); !errors.Is(err, rota.ErrLimit) || keys.LimitHits() != 1 {
		t.Errorf("%v, %d hits of the limit", err, keys.LimitHits())
	}
	if err := keys.Invariant(); err != nil {
		t.Error(err)
	}
	if keys.Plant(); keys.Invariant() == nil {
		t.Error("three keys break no invariant")
	}
}

func TestAccessKeysLagBehind(t *testing.T) {
	clock := newClock()
	keys := memory.NewAccessKeys(memory.AccessKeysOptions{Options: memory.Options{Now: clock.Now},
		ListLag: time.Minute, UseLag: time.Hour, RefusedLogins: 2})
	foreign := keys.Plant()
	id := keys.CredentialID(foreign)
	list := func() string {
		t.Helper()
		got, err := keys.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case len(got) == 0:
			return "nothing"
		case got[0].Active:
			return "active"
		}
		return "inactive"
	}
	lastUse := func() time.Time {
		t.Helper()
		use, err := keys.LastUsed(t.Context(), id)
		if err != nil || use.Evidence != rota.EvidenceRecorded {
			t.Fatalf("%+v %v", use, err)
		}
		return use.At
	}
	if got := list(); got != "nothing" {
		t.Errorf("a new key is listed at once: %s", got)
	}
	if keys.Login(foreign) || keys.Use(id) || !keys.Use(id) {
		t.Error("want two logins refused, and the third taken")
	}
	used := clock.Now()
	clock.Advance(time.Minute)
	if got := list(); got != "active" {
		t.Errorf("a minute later it is %s", got)
	}
	// A key in constant use shows as used an hour ago, not as never used.
	for range 90 {
		clock.Advance(time.Minute)
		keys.Use(id)
	}
	if got, want := lastUse(), clock.Now().Add(-time.Hour); !got.Equal(want) {
		t.Errorf("last use %s, want %s; first was %s", got, want, used)
	}
	retire := rota.RetireRequest{CredentialID: id}
	if err := keys.Deactivate(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	if got := list(); got != "active" || keys.Use(id) {
		t.Errorf("just deactivated it is listed as %s", got)
	}
	clock.Advance(time.Minute)
	if got := list(); got != "inactive" {
		t.Errorf("a minute later it is %s", got)
	}
	if !keys.Foreign(id) {
		t.Error("a planted key is not foreign")
	}
	if err := keys.Delete(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	if got := list(); got != "inactive" || len(keys.Keys()) != 0 {
		t.Errorf("just deleted it is listed as %s; really there: %v", got, keys.Keys())
	}
	clock.Advance(time.Minute)
	if got := list(); got != "nothing" {
		t.Errorf("a minute later it is %s", got)
	}
}

func TestStaleAnswersAreThoseBeforeTheLastWrite(t *testing.T) {
	var injector memory.Injector
	o := memory.Options{Faults: injector.Fault}
	keys := memory.NewAccessKeys(memory.AccessKeysOptions{Options: o})
	store := memory.NewStore(o)
	c, err := keys.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	store.Plant("v1", c, rota.LabelCurrent)
	store.Plant("v2", c, rota.LabelPending)
	injector.Next("issuer.list", memory.Fault{Stale: true})
	injector.Next("store.describe", memory.Fault{Stale: true})
	injector.Next("store.get", memory.Fault{Stale: true})
	for _, wanted := range []int{0, 1} { // stale, then fresh
		list, err := keys.List(t.Context())
		if err != nil || len(list) != wanted {
			t.Errorf("list: %v %v, want %d", list, err, wanted)
		}
		contents, err := store.Describe(t.Context())
		if err != nil || len(contents.Versions) != wanted+1 {
			t.Errorf("describe: %v %v, want %d", contents, err, wanted+1)
		}
		if _, err := store.Get(t.Context(), rota.GetRequest{Version: "v2"}); errors.Is(err, rota.ErrNotFound) != (wanted == 0) {
			t.Errorf("get: %v", err)
		}
	}
}

func TestAVersionWithoutValueIsFilledInOnce(t *testing.T) {
	s := memory.NewStore(memory.Options{})
	c := rota.NewCredential(map[string]string{"password": "first"})
	s.Plant("v0", c, rota.LabelCurrent)
	s.Plant("v1", rota.Credential{}, rota.LabelPending) // as the first step of Secrets Manager's own rotation
	if _, err := s.Get(t.Context(), rota.GetRequest{Version: "v1"}); !errors.Is(err, rota.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if err := s.Move(t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: "v0", To: "v1"}); err == nil {
		t.Error("a version without value became current")
	}
	if err := s.Move(t.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: "v0"}); !errors.Is(err, rota.ErrConflict) {
		t.Errorf("the secret was left without a current version: %v", err)
	}
	if err := s.Put(t.Context(), rota.PutRequest{Version: "v1", Credential: c, Labels: []rota.Label{rota.LabelPending}}); err != nil {
		t.Fatal(err)
	}
	if id, got, ok := s.Read(rota.LabelPending); id != "v1" || !got.Equal(c) || !ok {
		t.Errorf("pending is %s %v %v", id, got, ok)
	}
	if err := s.Put(t.Context(), rota.PutRequest{Version: "v2"}); err == nil {
		t.Error("a version without value was put")
	}
	if err := s.Invariant(); err != nil {
		t.Error(err)
	}
}

func TestAStoreDropsTheOldestOfTooMany(t *testing.T) {
	s := memory.NewStore(memory.Options{})
	c := rota.NewCredential(map[string]string{"password": "x"})
	for n := range 300 {
		s.Plant(fmt.Sprint("v", n), c, rota.LabelCurrent)
	}
	for version, there := range map[string]bool{"v0": false, "v150": false, "v250": true, "v298": true, "v299": true} {
		if _, err := s.Get(t.Context(), rota.GetRequest{Version: version}); (err == nil) != there {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestOpenSessionsAreUse(t *testing.T) {
	clock := newClock()
	roles := memory.NewAlternating("a", "b", memory.RolesOptions{Options: memory.Options{Now: clock.Now}})
	c := roles.Plant("a", "by hand")
	if !roles.Connect(c) || roles.Connect(rota.NewCredential(map[string]string{"username": "a", "password": "x"})) {
		t.Fatal("want the right password taken and the wrong one refused")
	}
	use := func() rota.Use {
		t.Helper()
		u, err := roles.LastUsed(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	retire := rota.RetireRequest{CredentialID: "a"}
	if err := roles.Deactivate(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	want := rota.Use{Evidence: rota.EvidenceSampled, At: clock.Now(), Detail: "1 sessions"}
	if diff := cmp.Diff(want, use()); diff != "" {
		t.Errorf("the session outlives the deactivation:\n%s", diff)
	}
	roles.Disconnect("a")
	if diff := cmp.Diff(rota.Use{Evidence: rota.EvidenceSampled}, use()); diff != "" {
		t.Error(diff)
	}
	if got := roles.Keys(); len(got) != 1 || got[0].Active {
		t.Errorf("roles: %+v", got)
	}
}

func TestAJournalForgetsOnlyWhenReset(t *testing.T) {
	clock := newClock()
	j := memory.NewJournal(memory.Options{Now: clock.Now})
	l, err := j.Acquire(t.Context(), rotation.AcquireRequest{Secret: "s", Holder: "a", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	p := rotation.Progress{NotBefore: clock.Now()}
	save := rotation.SaveRequest{Lease: l, Progress: p, Entries: []rotation.Entry{{Secret: "s"}}}
	if err := j.Save(t.Context(), save); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	if err := j.Save(t.Context(), save); !errors.Is(err, rota.ErrFenced) {
		t.Errorf("save with a lease that ran out: %v", err)
	}
	if diff := cmp.Diff(p, j.Progress("s")); diff != "" || len(j.Entries()) != 1 {
		t.Errorf("kept: %s, %d entries", diff, len(j.Entries()))
	}
	j.Reset()
	if diff := cmp.Diff(rotation.Progress{}, j.Progress("s")); diff != "" || len(j.Entries()) != 0 {
		t.Errorf("after the reset: %s, %d entries", diff, len(j.Entries()))
	}
	if _, err := j.Acquire(t.Context(), rotation.AcquireRequest{Secret: "s", Holder: "b", TTL: time.Minute}); err != nil {
		t.Error(err)
	}
}

func TestDelayIsSpentBeforeTheCallActs(t *testing.T) {
	clock, late := newClock(), errors.New("deadline passed")
	var injector memory.Injector
	target := memory.NewTarget("copy", memory.Options{Faults: injector.Fault, Wait: func(_ context.Context, d time.Duration) error {
		clock.Advance(d)
		if d > time.Minute {
			return late
		}
		return nil
	}})
	start := clock.Now()
	injector.Next("target.deliver", memory.Fault{Delay: time.Hour})
	injector.Next("target.deliver", memory.Fault{Delay: time.Second})
	r := rota.DeliverRequest{Version: "v1"}
	if err := target.Deliver(t.Context(), r); !errors.Is(err, late) {
		t.Errorf("want %v, got %v", late, err)
	}
	if _, found := target.Current(); found {
		t.Error("it was delivered past the deadline")
	}
	if err := target.Deliver(t.Context(), r); err != nil {
		t.Error(err)
	}
	if got := clock.Now().Sub(start); got != time.Hour+time.Second {
		t.Errorf("%s went by", got)
	}
}

// BenchmarkRotation makes all calls of one access key rotation.
func BenchmarkRotation(b *testing.B) {
	clock := newClock()
	o := memory.Options{Now: clock.Now, Faults: func(memory.Call) memory.Fault { return memory.Fault{} }}
	keys := memory.NewAccessKeys(memory.AccessKeysOptions{Options: o})
	store, journal, target := memory.NewStore(o), memory.NewJournal(o), memory.NewTarget("copy", o)
	old, n := "", 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		id := fmt.Sprint("rota-", n)
		l, err := journal.Acquire(b.Context(), rotation.AcquireRequest{Secret: "s", Holder: "a", TTL: time.Hour})
		c, err2 := keys.Create(b.Context(), rota.CreateRequest{})
		errs := []error{err, err2,
			store.Put(b.Context(), rota.PutRequest{Version: id, Credential: c, Labels: []rota.Label{rota.LabelPending}}),
			keys.Test(b.Context(), rota.TestRequest{Credential: c}),
			store.Move(b.Context(), rota.MoveRequest{Label: rota.LabelCurrent, From: old, To: id}),
			store.Move(b.Context(), rota.MoveRequest{Label: rota.LabelPending, From: id}),
			target.Deliver(b.Context(), rota.DeliverRequest{Version: id, Credential: c}),
			keys.Deactivate(b.Context(), rota.RetireRequest{CredentialID: keys.CredentialID(c)}),
			keys.Delete(b.Context(), rota.RetireRequest{CredentialID: keys.CredentialID(c)}),
		}
		for range 8 {
			_, err := store.Describe(b.Context())
			errs = append(errs, err, journal.Save(b.Context(), rotation.SaveRequest{Lease: l, Progress: rotation.Progress{
				Versions: map[string]rotation.VersionProgress{id: {CredentialID: "x"}}}, Entries: make([]rotation.Entry, 2)}))
		}
		if err := errors.Join(errs...); err != nil {
			b.Fatal(err)
		}
		old = id
	}
}

package providertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// JournalFixture is an empty journal.
type JournalFixture struct {
	Journal rotation.Journal
	Polling
	// Inject makes the journal fail; nil if it can't.
	Inject Inject
	// Advance advances the journal's clock; nil if it uses the real one. The
	// suite then waits for leases to expire, which takes seconds.
	Advance func(time.Duration)
	// Reopen opens the same journal again, as after a restart; nil if that
	// proves nothing.
	Reopen func(t *testing.T) rotation.Journal
	// Entries returns the audit log so far, in order; nil if it can't be read.
	Entries func(t *testing.T) []rotation.Entry
}

type journal struct{ JournalFixture }

// Journal runs the suite for [rotation.Journal]. fixture is called once per
// case, and once before all of them to find out which cases apply.
func Journal(t *testing.T, fixture func(t *testing.T) JournalFixture) {
	suite(std{t}, func(t T) *journal { return &journal{fixture(goTest(t))} }, []conformance[*journal]{
		{"a secret without progress loads as zero", testLoadZero, nil},
		{"every field of progress is kept", testProgressKept, nil},
		{"a load returns a copy", testLoadCopies, nil},
		{"one holder at a time has the lease", testLease, nil},
		{"anyone can take an expired lease", testLeaseExpires, nil},
		{"fences only increase", testFences, nil},
		{"a lost lease saves nothing", testFenced, nil},
		{"a save extends the lease", testSaveProlongs, (*journal).hasClock},
		{"a final save releases the lease", testSaveReleases, nil},
		{"entries are kept in order", testEntries, (*journal).readable},
		{"secrets are independent", testSecretsApart, nil},
		{"a load returns the status of the requested peers", testLoadPeers, nil},
		{"only one of several secrets kept apart begins", testNeighbors, nil},
		{"one of several concurrent acquirers wins", testAcquireRace, nil},
		{"what's saved is durable", testJournalDurable, (*journal).reopens},
		{"calls return when their context ends", testJournalContext, nil},
		faulty("faults: a call that fails before it takes effect can be repeated", FailBefore, testJournalFaults),
		faulty("faults: a call whose reply was lost can be made again", LoseReply, testJournalFaults),
	})
}

func (j *journal) hasClock() bool { return j.Advance != nil }
func (j *journal) readable() bool { return j.Entries != nil }
func (j *journal) reopens() bool  { return j.Reopen != nil }

// canFail reports whether a rotation's calls can fail in this way.
func (j *journal) canFail(kind FaultKind) bool {
	return j.Inject.can(kind, "acquire", "save", "load")
}

const ttl = time.Minute

func (j *journal) acquire(t T, secret, holder string, ttl time.Duration) rotation.Lease {
	t.Helper()
	l, err := j.Journal.Acquire(t.Context(), rotation.AcquireRequest{Secret: secret, Holder: holder, TTL: ttl})
	if err != nil {
		t.Fatalf("%s acquires %s: %v", holder, secret, err)
	}
	if l.Secret != secret || l.Holder != holder || l.TTL != ttl || l.Fence <= 0 || l.Expires.IsZero() {
		t.Errorf("the lease is not what was asked for: %+v", l)
	}
	return l
}

func (j *journal) busy(t T, secret, holder string) {
	t.Helper()
	if _, err := j.Journal.Acquire(t.Context(), rotation.AcquireRequest{Secret: secret, Holder: holder, TTL: ttl}); !errors.Is(err, rota.ErrBusy) {
		t.Fatalf("%s acquires %s: want %q, got %v", holder, secret, rota.ErrBusy, err)
	}
}

func (j *journal) release(t T, l rotation.Lease) {
	t.Helper()
	if err := j.Journal.Release(t.Context(), l); err != nil {
		t.Fatalf("release %+v: %v", l, err)
	}
}

func (j *journal) save(t T, l rotation.Lease, p rotation.Progress, entries ...rotation.Entry) {
	t.Helper()
	if err := j.Journal.Save(t.Context(), rotation.SaveRequest{Lease: l, Progress: p, Entries: entries}); err != nil {
		t.Fatalf("save: %v", err)
	}
}

func (j *journal) load(t T, secret string) rotation.Progress {
	t.Helper()
	snapshot, err := j.Journal.Load(t.Context(), secret)
	if err != nil {
		t.Fatalf("load %s: %v", secret, err)
	}
	return snapshot.Progress
}

// loads compares progress. Empty maps and lists count as nil.
func (j *journal) loads(t T, secret string, want rotation.Progress) {
	t.Helper()
	if diff := cmp.Diff(want, j.load(t, secret), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("progress of %s (-want +got):\n%s", secret, diff)
	}
}

// testLoadPeers asks for peers in every relevant combination: some, one that
// was never saved, the secret itself, and none.
func testLoadPeers(t T, j *journal) {
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	want := map[string]rotation.Status{}
	for n, name := range []string{"peer/a", "peer/b", "peer/c"} {
		want[name] = rotation.Status{IssuedAt: day.AddDate(0, 0, n), RotateAt: day.AddDate(0, 3, n), Version: name}
		j.save(t, j.acquire(t, name, "worker", ttl), rotation.Progress{Status: want[name], Rejections: n + 1})
	}
	for _, test := range []struct {
		secret string
		peers  []string
	}{
		{"peer/a", nil},
		{"peer/a", []string{"peer/b"}},
		{"peer/a", []string{"peer/c", "peer/b", "never/seen"}},
		{"peer/b", []string{"peer/b", "peer/c"}},
		{"never/seen", []string{"peer/a", "never/seen either"}},
	} {
		got, err := j.Journal.Load(t.Context(), test.secret, test.peers...)
		if err != nil {
			t.Fatalf("load %s with %v: %v", test.secret, test.peers, err)
		}
		if diff := cmp.Diff(want[test.secret], got.Progress.Status); diff != "" {
			t.Errorf("status of %s (-want +got):\n%s", test.secret, diff)
		}
		expected := map[string]rotation.Status{}
		for _, name := range test.peers {
			if s, ok := want[name]; ok {
				expected[name] = s
			}
		}
		for name, s := range got.Peers { // a peer without a status can be present or absent
			if cmp.Equal(s, rotation.Status{}) {
				delete(got.Peers, name)
			}
		}
		if diff := cmp.Diff(expected, got.Peers, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("peers of %s (-want +got):\n%s", test.secret, diff)
		}
	}
}

// entry returns the n-th of a series of entries.
func entry(secret string, n int) rotation.Entry {
	return rotation.Entry{At: time.Date(2026, 3, 1, 12, 0, n, 0, time.UTC), Actor: "test", Secret: secret,
		Step: string(rota.StepDeliver), Object: fmt.Sprintf("target %d", n), Version: "rota-1", Credential: "AKIA1",
		Outcome: rotation.OutcomeSucceeded, Detail: "it's \"quoted\"\nand on two lines"}
}

// audited checks the audit log of the secrets that the case used.
func (j *journal) audited(t T, want ...rotation.Entry) {
	t.Helper()
	if j.Entries == nil {
		return
	}
	if diff := cmp.Diff(want, j.Entries(goTest(t)), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

func testLoadZero(t T, j *journal) {
	j.loads(t, "never/seen", rotation.Progress{})
	j.release(t, j.acquire(t, "just/leased", "a", ttl))
	j.loads(t, "just/leased", rotation.Progress{})
}

func testProgressKept(t T, j *journal) {
	var full rotation.Progress
	fill(&full)
	l := j.acquire(t, "full", "a", ttl)
	j.save(t, l, full)
	j.loads(t, "full", full)
	j.save(t, l, rotation.Progress{})
	j.loads(t, "full", rotation.Progress{})
}

func testLoadCopies(t T, j *journal) {
	var saved, want rotation.Progress
	fill(&saved)
	fill(&want)
	j.save(t, j.acquire(t, "copy", "a", ttl), saved)
	scramble(&saved)
	j.loads(t, "copy", want)
	loaded := j.load(t, "copy")
	scramble(&loaded)
	j.loads(t, "copy", want)
}

func testLease(t T, j *journal) {
	first := j.acquire(t, "s", "a", ttl)
	j.busy(t, "s", "b")
	again := j.acquire(t, "s", "a", ttl)
	if again.Fence <= first.Fence {
		t.Errorf("the same holder's next fence is %d after %d", again.Fence, first.Fence)
	}
	j.busy(t, "s", "b")
	j.release(t, again)
	j.release(t, again) // releasing twice is no error
	other := j.acquire(t, "s", "b", ttl)
	j.release(t, again) // a lost lease doesn't release anyone else's
	j.busy(t, "s", "a")
	j.save(t, other, rotation.Progress{})
}

func testLeaseExpires(t T, j *journal) {
	short := 300 * time.Millisecond
	lost := j.acquire(t, "s", "a", short)
	j.busy(t, "s", "b")
	if j.Advance != nil {
		j.Advance(short + time.Second)
	}
	var taken rotation.Lease
	j.until(t, "taking over a lease that ran out", func() (err error) {
		taken, err = j.Journal.Acquire(t.Context(), rotation.AcquireRequest{Secret: "s", Holder: "b", TTL: ttl})
		return err
	})
	if taken.Fence <= lost.Fence {
		t.Errorf("the fence is %d after %d", taken.Fence, lost.Fence)
	}
	j.busy(t, "s", "a")
	err := j.Journal.Save(t.Context(), rotation.SaveRequest{Lease: lost, Progress: rotation.Progress{NotBefore: time.Unix(1, 0).UTC()}, Entries: []rotation.Entry{entry("s", 1)}})
	if !errors.Is(err, rota.ErrFenced) {
		t.Errorf("save with a lease that was taken over: want %q, got %v", rota.ErrFenced, err)
	}
	j.loads(t, "s", rotation.Progress{})
	j.audited(t)
}

func testFences(t T, j *journal) {
	last := int64(0)
	for n := range 10 {
		l := j.acquire(t, "s", fmt.Sprintf("holder %d", n), ttl)
		if l.Fence <= last {
			t.Fatalf("fence %d after %d", l.Fence, last)
		}
		last = l.Fence
		j.release(t, l)
	}
}

func testFenced(t T, j *journal) {
	kept := rotation.Progress{NotBefore: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	first := j.acquire(t, "s", "a", ttl)
	j.save(t, first, kept, entry("s", 1))
	released := j.acquire(t, "s", "a", ttl)
	j.release(t, released)
	held := j.acquire(t, "s", "b", ttl)
	for name, l := range map[string]rotation.Lease{
		"with a lower fence":                  first,
		"that was released":                   released,
		"of another holder with this fence":   {Secret: "s", Holder: "a", Fence: held.Fence, TTL: ttl, Expires: held.Expires},
		"with a fence that was never given":   {Secret: "s", Holder: "b", Fence: held.Fence + 1, TTL: ttl, Expires: held.Expires},
		"on a secret that nobody ever leased": {Secret: "other", Holder: "b", Fence: held.Fence, TTL: ttl, Expires: held.Expires},
	} {
		var p rotation.Progress
		fill(&p)
		err := j.Journal.Save(t.Context(), rotation.SaveRequest{Lease: l, Progress: p, Entries: []rotation.Entry{entry("s", 2)}})
		if !errors.Is(err, rota.ErrFenced) {
			t.Errorf("save with a lease %s: want %q, got %v", name, rota.ErrFenced, err)
		}
	}
	j.loads(t, "s", kept)
	j.loads(t, "other", rotation.Progress{})
	j.audited(t, entry("s", 1))
	j.save(t, held, rotation.Progress{}, entry("s", 3))
	j.audited(t, entry("s", 1), entry("s", 3))
}

func testSaveProlongs(t T, j *journal) {
	l := j.acquire(t, "s", "a", ttl)
	for range 5 {
		j.Advance(ttl * 2 / 3)
		j.save(t, l, rotation.Progress{})
		j.busy(t, "s", "b")
	}
	j.Advance(ttl * 2)
	j.acquire(t, "s", "b", ttl)
}

func testSaveReleases(t T, j *journal) {
	last := func(l rotation.Lease, p rotation.Progress) error {
		return j.Journal.Save(t.Context(), rotation.SaveRequest{Lease: l, Progress: p, Release: true})
	}
	kept := rotation.Progress{NotBefore: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	first := j.acquire(t, "s", "a", ttl)
	if err := last(first, kept); err != nil {
		t.Fatal(err)
	}
	j.loads(t, "s", kept)
	other := j.acquire(t, "s", "b", ttl) // at once
	if err := last(first, rotation.Progress{}); !errors.Is(err, rota.ErrFenced) {
		t.Errorf("a last save with a lease that was given back: want %q, got %v", rota.ErrFenced, err)
	}
	j.loads(t, "s", kept)
	j.busy(t, "s", "a") // no one else's lease was released
	j.save(t, other, rotation.Progress{})
}

func testEntries(t T, j *journal) {
	l := j.acquire(t, "s", "a", ttl)
	var want []rotation.Entry
	for n := range 5 {
		pair := []rotation.Entry{entry("s", 2*n), entry("s", 2*n+1)}
		j.save(t, l, rotation.Progress{}, pair...)
		want = append(want, pair...)
	}
	j.save(t, l, rotation.Progress{})
	j.audited(t, want...)
}

func testSecretsApart(t T, j *journal) {
	a, b := j.acquire(t, "a", "one", ttl), j.acquire(t, "b", "two", ttl)
	var full rotation.Progress
	fill(&full)
	j.save(t, a, full)
	j.loads(t, "b", rotation.Progress{})
	j.save(t, b, rotation.Progress{})
	j.loads(t, "a", full)
	j.release(t, a)
	j.busy(t, "b", "one")
}

func testAcquireRace(t T, j *journal) {
	leases := make([]rotation.Lease, crowd)
	won := -1
	for n, err := range together(crowd, func(n int) (err error) {
		leases[n], err = j.Journal.Acquire(t.Context(), rotation.AcquireRequest{Secret: "s", Holder: fmt.Sprintf("holder %d", n), TTL: ttl})
		return err
	}) {
		switch {
		case err == nil && won >= 0:
			t.Errorf("holders %d and %d both have the lease", won, n)
		case err == nil:
			won = n
		case !errors.Is(err, rota.ErrBusy):
			t.Errorf("the loser's error: want %q, got %v", rota.ErrBusy, err)
		}
	}
	if won < 0 {
		t.Fatal("nobody has the lease")
	}
	errs := together(crowd, func(n int) error {
		return j.Journal.Save(t.Context(), rotation.SaveRequest{Lease: leases[won], Entries: []rotation.Entry{entry("s", n)}})
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("save at the same time: %v", err)
	}
	if j.Entries != nil {
		if got := len(j.Entries(goTest(t))); got != crowd {
			t.Errorf("%d entries of %d saves", got, crowd)
		}
	}
}

func testJournalDurable(t T, j *journal) {
	var full rotation.Progress
	fill(&full)
	l := j.acquire(t, "s", "a", ttl)
	j.save(t, l, full, entry("s", 1))
	j.Journal = j.Reopen(goTest(t))
	j.loads(t, "s", full)
	j.busy(t, "s", "b")
	j.save(t, l, full, entry("s", 2))
	j.release(t, l)
	if next := j.acquire(t, "s", "b", ttl); next.Fence <= l.Fence {
		t.Errorf("the fence after reopening is %d, after %d", next.Fence, l.Fence)
	}
	j.audited(t, entry("s", 1), entry("s", 2))
}

func testJournalContext(t T, j *journal) {
	l := j.acquire(t, "s", "a", ttl)
	kept := rotation.Progress{NotBefore: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	j.save(t, l, kept, entry("s", 1))
	honours(t, "acquire", j.Inject, "acquire", func(ctx context.Context) error {
		_, err := j.Journal.Acquire(ctx, rotation.AcquireRequest{Secret: "free", Holder: "b", TTL: ttl})
		return err
	}, rota.ErrBusy)
	honours(t, "load", j.Inject, "load", func(ctx context.Context) error {
		_, err := j.Journal.Load(ctx, "s")
		return err
	})
	honours(t, "save", j.Inject, "save", func(ctx context.Context) error {
		return j.Journal.Save(ctx, rotation.SaveRequest{Lease: l, Entries: []rotation.Entry{entry("s", 2)}})
	}, rota.ErrFenced)
	j.loads(t, "s", kept)
	j.audited(t, entry("s", 1))
	j.acquire(t, "free", "c", ttl) // the canceled call acquired nothing
}

func testJournalFaults(t T, j *journal, kind FaultKind) {
	try := func(op string, call func() error) {
		t.Helper()
		if j.Inject(op, kind) {
			err := call()
			if kind == FailBefore && err == nil {
				t.Errorf("%s succeeded although the journal failed", op)
			}
			if errors.Is(err, rota.ErrFenced) || errors.Is(err, rota.ErrBusy) {
				t.Errorf("%s claims to know what it can't: %v", op, err)
			}
		}
		if err := call(); err != nil {
			t.Fatalf("%s, made again: %v", op, err)
		}
	}
	var l rotation.Lease
	try("acquire", func() (err error) {
		l, err = j.Journal.Acquire(t.Context(), rotation.AcquireRequest{Secret: "s", Holder: "a", TTL: ttl})
		return err
	})
	var full rotation.Progress
	fill(&full)
	try("save", func() error {
		return j.Journal.Save(t.Context(), rotation.SaveRequest{Lease: l, Progress: full, Entries: []rotation.Entry{entry("s", 1)}})
	})
	j.loads(t, "s", full)
	if j.Entries != nil {
		// After a lost reply the entry can be there twice, but never partially.
		got := j.Entries(goTest(t))
		if n := len(slices.Compact(slices.Clone(got))); n != 1 {
			t.Errorf("%d different entries, want 1: %v", n, got)
		}
	}
	try("load", func() error {
		_, err := j.Journal.Load(t.Context(), "s")
		return err
	})
}

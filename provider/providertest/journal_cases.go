package providertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

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

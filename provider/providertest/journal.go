package providertest

import (
	"errors"
	"fmt"
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

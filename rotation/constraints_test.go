package rotation_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// meeting is a journal at which two workers meet: each has decided to begin,
// and neither has written it down yet.
type meeting struct {
	*memory.Journal
	mu   sync.Mutex
	come int
	both chan struct{}
}

func (m *meeting) Save(ctx context.Context, r rotation.SaveRequest) error {
	if len(r.Peers) > 0 {
		m.mu.Lock()
		if m.come++; m.come == 2 {
			close(m.both)
		}
		m.mu.Unlock()
		select {
		case <-m.both:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return m.Journal.Save(ctx, r)
}

func TestOfTwoThatDecideInTheSameInstantOneBegins(t *testing.T) {
	now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	o := memory.Options{Now: func() time.Time { return now }}
	journal := &meeting{Journal: memory.NewJournal(o), both: make(chan struct{})}
	issuers := map[string]*memory.AccessKeys{}
	var pair []*rotation.Secret
	for _, name := range []string{"prod/a", "prod/b"} {
		issuers[name] = memory.NewAccessKeys(memory.AccessKeysOptions{Options: o})
		pair = append(pair, &rotation.Secret{Name: name, Issuer: issuers[name], Store: memory.NewStore(o), Policy: policy90})
	}
	worker := func() *rotation.Rotator {
		return &rotation.Rotator{
			Journal: journal, Now: o.Now, LeaseTTL: time.Hour,
			Sleep: func(context.Context, time.Duration) error { return nil },
		}
	}
	for i, s := range pair {
		if _, err := worker().Advance(t.Context(), s, rotation.Options{}); err != nil {
			t.Fatal(err)
		}
		s.Policy.ApartFrom = []rotation.Apart{{Secret: pair[1-i].Name, By: 12 * time.Hour}}
		now = now.Add(24 * time.Hour)
	}
	now = now.Add(89 * rota.Day) // prod/b, as far as was remembered, is not due yet
	pair[1].Policy.RotateEvery = 80 * rota.Day
	results, errs := make([]rotation.Result, 2), make([]error, 2)
	var ended sync.WaitGroup
	for i, s := range pair {
		ended.Go(func() { results[i], errs[i] = worker().Advance(t.Context(), s, rotation.Options{}) })
	}
	ended.Wait()
	begun := -1
	for i, r := range results {
		if errs[i] != nil {
			t.Errorf("%s: %v", pair[i].Name, errs[i])
		}
		if len(r.Done) > 0 {
			if begun >= 0 {
				t.Fatal("both were rotated")
			}
			begun = i
		}
	}
	if begun < 0 {
		t.Fatalf("neither was rotated: %+v", results)
	}
	waits := pair[1-begun]
	last := results[1-begun].Last
	if last.Step != rota.StepNone || last.Next != rota.StepCreate || !strings.Contains(last.Reason, pair[begun].Name) {
		t.Errorf("the other one is to be %+v, want it to wait", last)
	}
	// What waits left nothing behind: no intent, no version, no entry.
	p := journal.Progress(waits.Name)
	if len(p.Intents) > 0 || len(p.Versions) != 1 || !p.Status.BegunAt.IsZero() || p.Failure != nil || !p.NextAt.Equal(last.At) {
		t.Errorf("%s is left with %+v", waits.Name, p)
	}
	creates := 0
	for _, e := range journal.Entries() {
		if e.Secret == waits.Name && e.Step == string(rota.StepCreate) {
			creates++
		}
	}
	if creates != 2 { // of the first credential: begun and done
		t.Errorf("the audit has %d entries of creating one for %s, want those of the first alone", creates, waits.Name)
	}
	if keys, err := issuers[waits.Name].List(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("its issuer has %d keys, %v", len(keys), err)
	}
	now = now.Add(13 * time.Hour)
	if r, err := worker().Advance(t.Context(), waits, rotation.Options{}); err != nil || len(r.Done) == 0 {
		t.Errorf("later it is still not rotated: %+v, %v", r.Last, err)
	}
}

// counted counts the reads of a journal.
type counted struct {
	rotation.Journal
	loads int
}

func (c *counted) Load(ctx context.Context, secret string, peers ...string) (rotation.Snapshot, error) {
	c.loads++
	return c.Journal.Load(ctx, secret, peers...)
}

func TestATurnReadsTheJournalOnce(t *testing.T) {
	b := newBench(t)
	b.secret.Policy.ApartFrom = []rotation.Apart{{Secret: "other", By: time.Hour}, {Secret: "another", By: time.Hour}}
	journal := &counted{Journal: b.journal}
	b.rotator.Journal = journal
	b.advance(t, rotation.Options{})
	if journal.loads != 1 {
		t.Errorf("a turn with two peers read the journal %d times, want once", journal.loads)
	}
}

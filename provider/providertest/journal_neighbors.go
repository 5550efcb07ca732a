package providertest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// testNeighbors has several secrets begin at once that are to be kept apart from
// one another: each was decided on while none had begun.
func testNeighbors(t *testing.T, j *journal) {
	const all = 4
	journals := []rota.Journal{j.Journal}
	if j.Reopen != nil {
		journals = append(journals, j.Reopen(t)) // as another process has it
	}
	var names []string
	for i := range all {
		names = append(names, fmt.Sprintf("apart/%d", i))
	}
	begun := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	request := func(i int, seen rota.Status) rota.SaveRequest {
		r := rota.SaveRequest{Progress: rota.Progress{Status: rota.Status{BegunAt: begun}}, Entries: []rota.Entry{entry(names[i], i)}}
		for k, name := range names {
			if k != i {
				r.Peers = append(r.Peers, rota.Peer{
					Apart: rota.Apart{Secret: name, By: time.Hour}, IssuedAt: seen.IssuedAt, RotateAt: seen.RotateAt, BegunAt: seen.BegunAt,
				})
			}
		}
		return r
	}
	leases := make([]rota.Lease, all)
	for i, name := range names {
		leases[i] = j.acquire(t, name, "worker "+name, ttl)
	}
	errs := together(all, func(i int) error {
		r := request(i, rota.Status{})
		r.Lease = leases[i]
		return journals[i%len(journals)].Save(t.Context(), r)
	})
	var want []rota.Entry
	for i, err := range errs {
		switch {
		case err == nil:
			want = append(want, entry(names[i], i))
			j.loads(t, names[i], rota.Progress{Status: rota.Status{BegunAt: begun}})
		case errors.Is(err, rota.ErrPeer):
			j.loads(t, names[i], rota.Progress{})
		default:
			t.Errorf("%s: want it saved or %q, got %v", names[i], rota.ErrPeer, err)
		}
	}
	if len(want) != 1 {
		t.Fatalf("%d secrets began at once: %v", len(want), errs)
	}
	j.audited(t, want...)
	for i, err := range errs {
		if err != nil { // the lease is still good, and says what is seen now
			j.save(t, leases[i], rota.Progress{})
		}
	}
	for i, err := range errs {
		if err == nil {
			again := request(i, rota.Status{})
			again.Lease, again.Entries, again.Progress.Status = leases[i], nil, rota.Status{IssuedAt: begun}
			if err := j.Journal.Save(t.Context(), again); err != nil {
				t.Errorf("none of the others has begun: %v", err)
			}
		}
	}
}

package providertest

import (
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// testNeighbors starts several secrets at once that must be kept apart: each
// start was decided on before any of the others had begun.
func testNeighbors(t T, j *journal) {
	const all = 4
	journals := []rotation.Journal{j.Journal}
	if j.Reopen != nil {
		journals = append(journals, j.Reopen(goTest(t))) // as opened by another process
	}
	var names []string
	for i := range all {
		names = append(names, fmt.Sprintf("apart/%d", i))
	}
	begun := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	request := func(i int, seen rotation.Status) rotation.SaveRequest {
		r := rotation.SaveRequest{Progress: rotation.Progress{Status: rotation.Status{BegunAt: begun}}, Entries: []rotation.Entry{entry(names[i], i)}}
		for k, name := range names {
			if k != i {
				r.Peers = append(r.Peers, rotation.Peer{
					Apart: rotation.Apart{Secret: name, By: time.Hour}, IssuedAt: seen.IssuedAt, RotateAt: seen.RotateAt, BegunAt: seen.BegunAt,
				})
			}
		}
		return r
	}
	leases := make([]rotation.Lease, all)
	for i, name := range names {
		leases[i] = j.acquire(t, name, "worker "+name, ttl)
	}
	errs := together(all, func(i int) error {
		r := request(i, rotation.Status{})
		r.Lease = leases[i]
		return journals[i%len(journals)].Save(t.Context(), r)
	})
	var want []rotation.Entry
	for i, err := range errs {
		switch {
		case err == nil:
			want = append(want, entry(names[i], i))
			j.loads(t, names[i], rotation.Progress{Status: rotation.Status{BegunAt: begun}})
		case errors.Is(err, rota.ErrPeer):
			j.loads(t, names[i], rotation.Progress{})
		default:
			t.Errorf("%s: want it saved or %q, got %v", names[i], rota.ErrPeer, err)
		}
	}
	if len(want) != 1 {
		t.Fatalf("%d secrets began at once: %v", len(want), errs)
	}
	j.audited(t, want...)
	for i, err := range errs {
		if err != nil { // the lease is still valid: a save based on the current state succeeds
			j.save(t, leases[i], rotation.Progress{})
		}
	}
	for i, err := range errs {
		if err == nil {
			again := request(i, rotation.Status{})
			again.Lease, again.Entries, again.Progress.Status = leases[i], nil, rotation.Status{IssuedAt: begun}
			if err := j.Journal.Save(t.Context(), again); err != nil {
				t.Errorf("none of the others has begun: %v", err)
			}
		}
	}
}

package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// Journal keeps the progress, leases and audit log of any number of secrets.
// Like a disk, it survives the crashes that faults simulate.
type Journal struct {
	part
	secrets map[string]*journaled
	entries []rotation.Entry
}

type journaled struct {
	lease    rotation.Lease // Holder is "" if nobody holds it; Fence is the highest ever issued
	progress rotation.Progress
	halts    rotation.Halts
}

// NewJournal makes an empty journal.
func NewJournal(o Options) *Journal {
	j := &Journal{secrets: map[string]*journaled{}}
	j.init(o, "memory journal")
	return j
}

// Acquire takes the lease. A holder that already has it gets it again, with a
// higher fence.
func (j *Journal) Acquire(ctx context.Context, r rotation.AcquireRequest) (rotation.Lease, error) {
	var lease rotation.Lease
	err := j.do(ctx, "journal.acquire", func(Fault) error {
		if r.Secret == "" || r.Holder == "" || r.TTL <= 0 {
			return j.refuse("take the lease of "+r.Secret, fmt.Errorf("needs a secret, a holder and a time to live"))
		}
		s := j.secrets[r.Secret]
		if s == nil {
			s = &journaled{}
			j.secrets[r.Secret] = s
		}
		now := j.opts.Now()
		if s.lease.Holder != "" && s.lease.Holder != r.Holder && now.Before(s.lease.Expires) {
			return &rota.Error{System: j.opts.System, Op: "take the lease of " + r.Secret, Class: rota.ClassWait, Err: rota.ErrBusy}
		}
		s.lease = rotation.Lease{Secret: r.Secret, Holder: r.Holder, Fence: s.lease.Fence + 1, TTL: r.TTL, Expires: now.Add(r.TTL)}
		lease = s.lease
		return nil
	})
	if err != nil {
		return rotation.Lease{}, err
	}
	return lease, nil
}

// Release gives up the lease.
func (j *Journal) Release(ctx context.Context, l rotation.Lease) error {
	return j.do(ctx, "journal.release", func(Fault) error {
		if s := j.secrets[l.Secret]; s != nil && s.lease.Fence == l.Fence && s.lease.Holder == l.Holder {
			s.lease.Holder = ""
		}
		return nil
	})
}

// Load returns a copy of everything stored about the secret. This journal is
// never restored from a backup.
func (j *Journal) Load(ctx context.Context, secret string, peers ...string) (rotation.Snapshot, error) {
	var snapshot rotation.Snapshot
	err := j.do(ctx, "journal.load", func(Fault) error {
		if s := j.secrets[secret]; s != nil {
			snapshot.Progress, snapshot.Halts = clone(s.progress), s.halts
		}
		for _, peer := range peers {
			if s := j.secrets[peer]; s != nil {
				if snapshot.Peers == nil {
					snapshot.Peers = map[string]rotation.Status{}
				}
				snapshot.Peers[peer] = clone(s.progress).Status
			}
		}
		return nil
	})
	if err != nil {
		return rotation.Snapshot{}, err
	}
	return snapshot, nil
}

// Save stores a copy of the progress and the entries, and extends the lease or
// releases it. An expired lease is lost, even if nobody else has taken it.
func (j *Journal) Save(ctx context.Context, r rotation.SaveRequest) error {
	return j.do(ctx, "journal.save", func(Fault) error {
		s, now := j.secrets[r.Lease.Secret], j.opts.Now()
		if s == nil || s.lease.Holder == "" || s.lease.Holder != r.Lease.Holder ||
			s.lease.Fence != r.Lease.Fence || !now.Before(s.lease.Expires) {
			return j.refuse("save progress of "+r.Lease.Secret, rota.ErrFenced)
		}
		for _, n := range r.Peers {
			var status rotation.Status
			if other := j.secrets[n.Secret]; other != nil {
				status = other.progress.Status
			}
			if !n.SameAs(status) {
				return j.refuse("save progress of "+r.Lease.Secret, fmt.Errorf("%s: %w", n.Secret, rota.ErrPeer))
			}
		}
		s.progress = clone(r.Progress)
		s.lease.Expires = now.Add(s.lease.TTL)
		if r.Release {
			s.lease.Holder = ""
		}
		j.entries = append(j.entries, r.Entries...)
		j.made = append(j.made, r.Lease.Secret)
		return nil
	})
}

func (j *Journal) refuse(op string, err error) error {
	return &rota.Error{System: j.opts.System, Op: op, Class: rota.ClassStop, Err: err}
}

// Entries returns the audit log so far, in order.
func (j *Journal) Entries() []rotation.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}

// Progress returns a secret's progress, without faults.
func (j *Journal) Progress(secret string) rotation.Progress {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s := j.secrets[secret]; s != nil {
		return clone(s.progress)
	}
	return rotation.Progress{}
}

// Pause stops anything new from starting, until Resume, for a secret that has
// been saved before.
func (j *Journal) Pause(secret string, h rotation.Halt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s := j.secrets[secret]; s != nil {
		s.halts.Paused = &h
	}
}

// Resume lifts a pause, and clears failures so that what was given up is
// retried.
func (j *Journal) Resume(secret string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s := j.secrets[secret]; s != nil {
		p := &s.progress
		s.halts.Paused, p.Failure, p.NextAt = nil, nil, time.Time{}
		p.Rejections, p.RejectedAt, p.RejectedFor, p.RejectedWhy = 0, time.Time{}, nil, ""
	}
}

// Reset erases everything, including fences and the audit log, as losing Rota's
// data folder would.
func (j *Journal) Reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.secrets, j.entries = map[string]*journaled{}, nil
}

// clone copies a progress deeply enough that changes to the copy don't affect
// the original.
func clone(p rotation.Progress) rotation.Progress {
	p.Versions = maps.Clone(p.Versions)
	for id, v := range p.Versions {
		v.Delivered, v.Reloaded = maps.Clone(v.Delivered), maps.Clone(v.Reloaded)
		v.Renewed.Remedies = slices.Clone(v.Renewed.Remedies)
		p.Versions[id] = v
	}
	p.RejectedFor = slices.Clone(p.RejectedFor)
	if p.Requested != nil {
		asked := *p.Requested
		p.Requested = &asked
	}
	p.Intents = slices.Clone(p.Intents)
	for i := range p.Intents {
		p.Intents[i].Known = slices.Clone(p.Intents[i].Known)
	}
	for _, f := range []**rotation.Failure{&p.Failure, &p.StepFailure} {
		if *f != nil {
			failure := **f
			failure.Remedies = slices.Clone(failure.Remedies)
			*f = &failure
		}
	}
	if p.InForce.Unverified != nil {
		u := *p.InForce.Unverified
		u.Remedies = slices.Clone(u.Remedies)
		p.InForce.Unverified = &u
	}
	if p.Rollback != nil {
		r := *p.Rollback
		p.Rollback = &r
	}
	p.InFlight = slices.Clone(p.InFlight)
	p.Unsent = slices.Clone(p.Unsent)
	for i := range p.Unsent {
		p.Unsent[i].Event = cloneEvent(p.Unsent[i].Event)
	}
	p.Status.Remedies = slices.Clone(p.Status.Remedies)
	return p
}

func cloneEvent(e rota.Event) rota.Event {
	e.Remedies = slices.Clone(e.Remedies)
	e.Events = slices.Clone(e.Events)
	for i := range e.Events {
		e.Events[i] = cloneEvent(e.Events[i])
	}
	return e
}

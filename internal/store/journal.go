package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

var (
	_ rotation.Journal     = Journal{}
	_ rotation.StoreKeeper = Journal{}
)

// Acquire takes a secret's lease. If the holder already has it, they get a new
// one, and the old one is lost. A lease becomes free when it expires, and
// immediately if the holder's process is dead. Calls that such a process had
// sent to outside systems may still arrive, as after a lost response. A process
// that merely hangs keeps its lease until it expires, and is fenced if it comes
// back later.
//
// Acquiring a lease for due work fails with [rota.ErrOtherConfiguration] if a
// different configuration is enrolled.
func (db Journal) Acquire(ctx context.Context, r rotation.AcquireRequest) (rotation.Lease, error) {
	fail := func(err error) (rotation.Lease, error) {
		return rotation.Lease{}, fmt.Errorf("lease of secret %s: %w", r.Secret, err)
	}
	if r.Secret == "" || r.Holder == "" || r.TTL <= 0 {
		return fail(errors.New("a lease needs a secret, a holder and a time to live"))
	}
	lease := rotation.Lease{Secret: r.Secret, Holder: r.Holder, TTL: r.TTL}
	err := db.writer.do(ctx, secretLock(r.Secret), func(t *tx) error {
		expires := micros(t.now.Add(r.TTL))
		lease.Expires = fromMicros(expires)
		args := []any{r.Secret, r.Holder, expires, db.liveness.id(), r.Configuration}
		query := sqlAcquireFree
		if r.Due {
			query = sqlAcquireDue
		}
		taken, err := t.row(query, append(args, micros(t.now)), &lease.Fence)
		if taken || err != nil {
			return err
		}
		var until int64
		var holder, instance, enrolled string
		if _, err := t.row(sqlLease, []any{r.Secret}, &holder, &until, &instance, &enrolled); err != nil {
			return err
		}
		if r.Due && r.Configuration != "" && enrolled != "" && enrolled != r.Configuration {
			return rota.ErrOtherConfiguration
		}
		if !db.liveness.dead(instance) {
			return fmt.Errorf("%w: %s, until %s", rota.ErrBusy, holder, fromMicros(until).Format("2006-01-02 15:04:05Z"))
		}
		_, err = t.row(sqlAcquire, args, &lease.Fence)
		return err
	})
	if err != nil {
		return fail(err)
	}
	return lease, nil
}

// Release gives a lease back.
func (db Journal) Release(ctx context.Context, l rotation.Lease) error {
	err := db.writer.do(ctx, secretLock(l.Secret), func(t *tx) error {
		t.enqueue(sqlRelease, l.Secret, l.Fence, l.Holder)
		return nil
	})
	if err != nil {
		return fmt.Errorf("release the lease of secret %s: %w", l.Secret, err)
	}
	return nil
}

// Save writes progress and its audit entries in one transaction, and releases
// the lease with them if requested. An expired lease is still valid while
// nobody else has taken the secret.
//
// Progress that was decided under a configuration other than the enrolled one,
// or before a person lifted a quarantine, leaves the secret due immediately, so
// that it's decided again.
func (db Journal) Save(ctx context.Context, r rotation.SaveRequest) error {
	return db.save(ctx, r, nil)
}

// Commit is Save with changes of the secret's store.
func (db Journal) Commit(ctx context.Context, r rotation.SaveRequest, changes []rotation.StoreChange) (rota.Contents, error) {
	if len(r.Peers) > 0 {
		return rota.Contents{}, errors.New("a save that compares peers can't change the store, which needs the secret's own lock")
	}
	own := &secretStore{db: db.core, name: r.Lease.Secret}
	prepared, err := own.prepare(ctx, changes)
	if err != nil {
		return rota.Contents{}, err
	}
	var contents rota.Contents
	err = db.save(ctx, r, func(t *tx) (err error) {
		contents, err = own.change(t, prepared...)
		return err
	})
	return contents, err
}

// save saves, and runs also in the same transaction if it isn't nil.
func (db Journal) save(ctx context.Context, r rotation.SaveRequest, also func(*tx) error) error {
	fail := func(err error) error { return fmt.Errorf("save progress of secret %s: %w", r.Lease.Secret, err) }
	progress, status, failure, err := encodeProgress(&r.Progress)
	if err != nil {
		return fail(err)
	}
	next := micros(r.Progress.NextAt)
	if next != 0 && r.Progress.NextAt.After(fromMicros(next)) {
		next++ // rounded up, so that it isn't due too early
	}
	lock := secretLock(r.Lease.Secret)
	if len(r.Peers) > 0 {
		lock = peersLock
	}
	write := func(t *tx) error {
		if err := t.checkPeers(r.Peers); err != nil {
			return err
		}
		holder, expires := r.Lease.Holder, micros(t.now.Add(r.Lease.TTL))
		if r.Release {
			holder, expires = "", 0
		}
		n, err := t.exec(sqlSave, holder, expires, next, status, failure, progress, overdueFrom(r.Progress), len(r.Progress.Unsent),
			r.Lease.Secret, r.Lease.Fence, r.Lease.Holder)
		if err != nil {
			return err
		}
		if n == 0 {
			return rota.ErrFenced
		}
		if also != nil {
			if err := also(t); err != nil {
				return err
			}
		}
		return t.append(r.Entries)
	}
	err = db.reserve.spend(r.Entries, func() error { return db.writer.do(ctx, lock, write) })
	if err != nil {
		return fail(err)
	}
	return nil
}

// encodeProgress encodes progress, and the two parts of it that have columns of
// their own: its status, which is encoded once for both, and its failure, "" for
// none.
func encodeProgress(p *rotation.Progress) (progress, status, failure string, err error) {
	s, err := json.Marshal(&p.Status)
	if err != nil {
		return "", "", "", err
	}
	all, err := json.Marshal(struct {
		*rotation.Progress
		Status json.RawMessage `json:"status"`
	}{p, s})
	if err != nil || p.Failure == nil {
		return string(all), string(s), "", err
	}
	f, err := json.Marshal(p.Failure)
	return string(all), string(s), string(f), err
}

// KeepsStore implements [rotation.StoreKeeper]: a secret's versions are stored
// next to its progress.
func (db Journal) KeepsStore(secret string, s rota.Store) bool {
	own, ok := s.(*secretStore)
	return ok && own.db == db.core && own.name == secret
}

package rotation_test

import (
	"context"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// keeper is a journal that keeps the store as well.
type keeper struct {
	*memory.Journal
	s      *tale
	before func() // the next change of AWSCURRENT
}

func (k *keeper) KeepsStore(_ string, store rota.Store) bool { return store == k.s.secret.Store }

func (k *keeper) Load(ctx context.Context, secret string, peers ...string) (rotation.Snapshot, error) {
	snapshot, err := k.Journal.Load(ctx, secret, peers...)
	if err == nil {
		k.s.outside(func() (err error) { snapshot.Contents, err = k.s.store.Describe(ctx); return err })
	}
	return snapshot, err
}

// Commit refuses a move that's out of date before anything is written.
func (k *keeper) Commit(ctx context.Context, r rotation.SaveRequest, changes []rotation.StoreChange) (rota.Contents, error) {
	for _, c := range changes {
		if c.Move == nil {
			continue
		}
		if k.before != nil && c.Move.Label == rota.LabelCurrent {
			k.before()
			k.before = nil
		}
		if holder, _, _ := k.s.store.Read(c.Move.Label); holder != c.Move.From {
			return rota.Contents{}, &rota.Error{Class: rota.ClassStop, Err: rota.ErrConflict}
		}
	}
	if err := k.commit(ctx, r, changes); err != nil {
		return rota.Contents{}, err
	}
	return k.change(ctx, r, changes)
}

// commit saves, which may be the process's last call. Then what it was to commit is committed.
func (k *keeper) commit(ctx context.Context, r rotation.SaveRequest, changes []rotation.StoreChange) (err error) {
	defer func() {
		if last := recover(); last != nil {
			_, _ = k.change(ctx, r, changes)
			panic(last)
		}
	}()
	return k.Save(ctx, r)
}

// change makes the changes of a commit.
func (k *keeper) change(ctx context.Context, r rotation.SaveRequest, changes []rotation.StoreChange) (rota.Contents, error) {
	var contents rota.Contents
	k.s.outside(func() (err error) {
		for _, c := range changes {
			if c.Put != nil {
				err = k.s.store.Put(ctx, *c.Put)
			} else {
				err = k.s.store.Move(ctx, *c.Move)
			}
			if err != nil {
				return err
			}
		}
		contents, err = k.s.store.Describe(ctx)
		return err
	})
	if r.Release {
		return rota.Contents{}, nil
	}
	return contents, nil
}

// keep has the journal keep the store.
func (s *tale) keep() {
	s.keeper = &keeper{Journal: s.journal, s: s}
	s.rotator.Journal = s.keeper
}

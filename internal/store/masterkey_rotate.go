package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// rewrapBatch is how many data keys are re-encrypted in one transaction.
const rewrapBatch = 200

// RotateMasterKey creates a new master key, re-encrypts every data key with it,
// opens each one with it, and only then removes the old one. An old key file is
// kept beside the new one ([DB.OldKeyFile]). Values stay as they are. If interrupted, the store
// keeps working with both keys, and the next call finishes the job. Other
// processes that can read the new key pick it up by themselves. Earlier backups
// need the key file from their time.
//
// With a key file and replicas on PostgreSQL, it is refused with
// [ErrReplicasRunning] while other replicas are alive: they have copies of the
// file.
//
// report, if not nil, is called with the number of data keys done, first before
// any and last when all are.
func (db *DB) RotateMasterKey(ctx context.Context, report func(done, total int)) error {
	if err := db.rotateMasterKey(ctx, report); err != nil {
		return fmt.Errorf("rotate the master key of %s: %w", db.name, err)
	}
	return nil
}

func (db *core) rotateMasterKey(ctx context.Context, report func(done, total int)) error {
	db.rotating.Lock()
	defer db.rotating.Unlock()
	if report == nil {
		report = func(int, int) {}
	}
	if err := db.refuseWithReplicas(ctx); err != nil {
		return err
	}
	if err := db.writer.do(ctx, keysLock, db.addMasterKey); err != nil {
		return err
	}
	// More than one round only if another process interferes.
	for finished := false; !finished; {
		var done, total int
		err := db.writer.do(ctx, keysLock, func(t *tx) (err error) {
			done, total, err = db.countRewrapped(t)
			return err
		})
		if err != nil {
			return err
		}
		report(done, total)
		for last, n := "", rewrapBatch; n == rewrapBatch; {
			from := last
			err := db.writer.do(ctx, keysLock, func(t *tx) (err error) {
				last, n, err = db.rewrap(t, from)
				return err
			})
			if err != nil {
				return err
			}
			if done += n; n > 0 {
				report(min(done, total), total)
			}
		}
		if err := db.proveMasterKey(ctx); err != nil {
			return err
		}
		err = db.writer.do(ctx, keysLock, func(t *tx) (err error) {
			finished, err = db.dropOldMasterKeys(t)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ErrReplicasRunning means that live replicas couldn't pick up a new master
// key.
var ErrReplicasRunning = rota.WithRemedies(errors.New("they have copies of the key file and could no longer open the store"), rota.Outside("stop all replicas, rotate, copy the new key file to each, start them; or keep the master key in a key management service, --master-key"))

// refuseWithReplicas refuses while replicas are alive that have a key file of
// their own. SQLite's replicas share one folder.
func (db *core) refuseWithReplicas(ctx context.Context) error {
	if _, ok := db.keys.master.storage.(keyFileStorage); !ok || db.path != "" {
		return nil
	}
	living, err := db.liveReplicas(ctx, sqlReplicas, db.liveness.id())
	if err != nil || len(living) == 0 {
		return err
	}
	if len(living) == 1 {
		return fmt.Errorf("1 replica of rota serve is running: %w", ErrReplicasRunning)
	}
	return fmt.Errorf("%d replicas of rota serve are running: %w", len(living), ErrReplicasRunning)
}

// addMasterKey adds a new primary key to the keyset before anything is
// encrypted with it. If there are already two keys, an interrupted rotation is
// continued.
func (db *core) addMasterKey(t *tx) error {
	m := db.keys.master
	if err := m.reload(t.row); err != nil {
		return err
	}
	if err := db.keys.checkMaster(t); err != nil {
		return err
	}
	handle, _ := m.current()
	if handle.Len() > 1 {
		return nil
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	if err := manager.SetPrimary(id); err != nil {
		return err
	}
	if handle, err = manager.Handle(); err != nil {
		return err
	}
	if file, ok := m.storage.(keyFileStorage); ok {
		if err := file.keep(t.now); err != nil {
			return err
		}
	}
	if err := m.write(t, handle); err != nil {
		return err
	}
	return t.append([]rotation.Entry{{At: t.now, Actor: db.actor, Step: rotation.OpRotateMasterKey, Outcome: rotation.OutcomeBegun}})
}

// countRewrapped counts the data keys encrypted with the new master key.
func (db *core) countRewrapped(t *tx) (done, total int, err error) {
	begins, err := db.primaryPrefix()
	if err != nil {
		return 0, 0, err
	}
	if total, err = t.count(sqlCountDataKeys); err != nil {
		return 0, 0, err
	}
	old, err := t.count(sqlCountOldKeys, begins)
	return total - old, total, err
}

func (db *core) primaryPrefix() ([]byte, error) {
	handle, _ := db.keys.master.current()
	return keyPrefix(handle)
}

// rewrap re-encrypts the next batch of data keys. It returns the last one's id
// and the batch's size.
func (db *core) rewrap(t *tx, from string) (last string, n int, err error) {
	begins, err := db.primaryPrefix()
	if err != nil {
		return "", 0, err
	}
	batch, err := t.dataKeys(sqlSelectOldKeys, from, begins, rewrapBatch)
	if err != nil {
		return "", 0, err
	}
	for _, k := range batch {
		plain, err := db.keys.master.unwrap(t.row, k.wrapped, k.id)
		if err != nil {
			return "", 0, err
		}
		wrapped, err := db.keys.master.wrap(t, plain, k.id)
		if err != nil {
			return "", 0, err
		}
		if _, err := t.exec(sqlUpdateDataKey, k.id, wrapped); err != nil {
			return "", 0, err
		}
		last = k.id
	}
	return last, len(batch), nil
}

// proveMasterKey opens every data key that's encrypted with the new master key
// with that one alone.
func (db *core) proveMasterKey(ctx context.Context) error {
	var alone tink.AEAD
	var begins []byte
	err := db.writer.do(ctx, keysLock, func(t *tx) error {
		if err := db.keys.master.reload(t.row); err != nil {
			return err
		}
		handle, _ := db.keys.master.current()
		handle, err := primaryAlone(handle)
		if err != nil {
			return err
		}
		if begins, err = keyPrefix(handle); err != nil {
			return err
		}
		alone, err = aead.New(handle)
		return err
	})
	for last, n := "", rewrapBatch; err == nil && n == rewrapBatch; {
		var batch []wrappedKey
		err = db.writer.do(ctx, keysLock, func(t *tx) (err error) {
			batch, err = t.dataKeys(sqlSelectKeys, last, rewrapBatch)
			return err
		})
		n = len(batch)
		for _, k := range batch {
			last = k.id
			if !bytes.HasPrefix(k.wrapped, begins) {
				continue // made by another process meanwhile: the next round re-encrypts it
			}
			if _, err := alone.Decrypt(k.wrapped, associated("data key", k.id)); err != nil {
				return fmt.Errorf("the new master key doesn't open the data key %q, so the old one is kept", k.id)
			}
		}
	}
	return err
}

// primaryAlone is the keyset without all but its primary key.
func primaryAlone(handle *keyset.Handle) (*keyset.Handle, error) {
	primary, err := handle.Primary()
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManagerFromHandle(handle)
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, err
		}
		if entry.KeyID() == primary.KeyID() {
			continue
		}
		if err := manager.Delete(entry.KeyID()); err != nil {
			return nil, err
		}
	}
	return manager.Handle()
}

// dropOldMasterKeys removes all but the new key, unless something is still
// encrypted with an old one.
func (db *core) dropOldMasterKeys(t *tx) (bool, error) {
	m := db.keys.master
	if err := m.reload(t.row); err != nil {
		return false, err
	}
	done, total, err := db.countRewrapped(t)
	if err != nil || done < total {
		return false, err
	}
	handle, _ := m.current()
	if handle, err = primaryAlone(handle); err != nil {
		return false, err
	}
	if err := t.append([]rotation.Entry{{At: t.now, Actor: db.actor, Step: rotation.OpRotateMasterKey, Outcome: rotation.OutcomeSucceeded}}); err != nil {
		return false, err
	}
	return true, m.write(t, handle)
}

// wrappedKey is a row of data_keys.
type wrappedKey struct {
	id      string
	wrapped []byte
}

func (t *tx) dataKeys(query string, args ...any) ([]wrappedKey, error) {
	var all []wrappedKey
	err := t.rows(query, args, func(row scanner) error {
		var k wrappedKey
		err := row.Scan(&k.id, &k.wrapped)
		all = append(all, k)
		return err
	})
	return all, err
}

package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// reserve is disk space kept for finishing what has begun. A rotation that makes or
// sets a credential begins only while the space is there, and what has to be written
// down afterwards may use it if the disk is full: otherwise the only copy of a
// password that's already in force could be lost, with nobody able to log in.
type reserve struct {
	path string // "" if there is none, as on PostgreSQL
	mu   sync.Mutex
}

const (
	reserveFile = "rota.reserve"
	// reserveSize is several times what the rest of a rotation writes, because
	// several rotations may be under way.
	reserveSize = 4 << 20
)

// keep creates the reserve, unless it's there.
func (r *reserve) keep() error {
	if r.path == "" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if info, err := os.Stat(r.path); err == nil && info.Size() == reserveSize {
		return nil
	}
	if err := r.create(); err != nil {
		return rota.WithRemedies(fmt.Errorf("keep space for finishing a rotation: %w", err), rota.Outside("the disk is full: free some space"))
	}
	return nil
}

// create writes random bytes, which no file system can compress or leave out.
func (r *reserve) create() error {
	f, err := os.CreateTemp(filepath.Dir(r.path), reserveFile+"-") // with mode 0600
	if err != nil {
		return err
	}
	content := make([]byte, reserveSize)
	_, _ = rand.Read(content) // it never fails
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), r.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// release frees the space.
func (r *reserve) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = os.Remove(r.path) // if it's gone already, or can't be, the next write says what's wrong
}

// spend calls write. If the disk is full and write finishes something, it calls
// write again with the space of the reserve. Another process or writer may have
// released it just now, so that's tried even if nothing is left to release.
func (r *reserve) spend(entries []rotation.Entry, write func() error) error {
	if begins(entries) {
		if err := r.keep(); err != nil {
			return err
		}
		return write()
	}
	err := write()
	if r.path == "" || !outOfSpace(err) {
		return err
	}
	r.release()
	return write()
}

// begins reports whether entries begin something that has to be finished.
func begins(entries []rotation.Entry) bool {
	return slices.ContainsFunc(entries, func(e rotation.Entry) bool {
		return e.Outcome == rotation.OutcomeBegun && slices.Contains([]string{string(rota.StepCreate), string(rota.StepSet), string(rota.StepRollback)}, e.Step)
	})
}

// outOfSpace reports whether SQLite may have failed for lack of space. If it can't
// enlarge its shared memory, that's an I/O error.
func outOfSpace(err error) bool {
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR
}

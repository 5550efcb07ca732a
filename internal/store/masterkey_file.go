package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/rota-dev/rota"
)

// keyFileStorage is a master key in a file of its own, in plaintext, readable
// by its owner only.
type keyFileStorage string

func (p keyFileStorage) name() string { return "key file " + string(p) }
func (p keyFileStorage) hint() string { return "restore the key file that belongs to this database" }

func (p keyFileStorage) load(row rowReader) ([]byte, error) {
	if err := checkPrivate(string(p)); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(string(p))
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return raw, nil
}

var errUnreadable = errors.New("not readable")

func (p keyFileStorage) open(stored []byte) (*keyset.Handle, error) {
	handle, err := decodeKeyset(stored)
	if err != nil {
		return nil, rota.WithRemedies(fmt.Errorf("master key %s is %w", string(p), err), rota.Outside(p.hint()))
	}
	return handle, nil
}

// save replaces the file atomically: after a crash it's either the old or the
// new one, complete.
func (p keyFileStorage) save(_ *tx, handle *keyset.Handle) ([]byte, error) {
	plain, err := encodeKeyset(handle)
	if err == nil {
		err = replaceFile(string(p), plain)
	}
	if err != nil {
		return nil, fmt.Errorf("master key %s: %w", string(p), err)
	}
	return bytes.Clone(plain), nil
}

// keptForm is how the name of an old key file continues: until when its key was
// in force.
const keptForm = ".until-20060102T150405Z"

// keep copies the file beside itself before it's replaced.
func (p keyFileStorage) keep(now time.Time) error {
	raw, err := os.ReadFile(string(p))
	if err == nil {
		err = replaceFile(string(p)+now.UTC().Format(keptForm), raw)
	}
	if err != nil {
		return fmt.Errorf("keep the old key file: %w", err)
	}
	return nil
}

// OldKeyFile is where the last rotation of the master key left the old key file,
// "" if there is none.
func (db *core) OldKeyFile() string {
	file, ok := db.keys.master.storage.(keyFileStorage)
	if !ok {
		return ""
	}
	kept, _ := filepath.Glob(escapeGlob(string(file)) + ".until-*Z") // the pattern is valid
	if len(kept) == 0 {
		return ""
	}
	return slices.Max(kept)
}

// escapeGlob is a path as a pattern that matches nothing else.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

func replaceFile(path string, content []byte) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes renames in a folder survive a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

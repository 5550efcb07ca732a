package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckCreatable tells, without writing, whether [Open] could make a store in a data
// folder that has none: the folder, or the nearest one above it that exists,
// must be one that this process may write to.
func CheckCreatable(dir string) error {
	const hint = "(try: another data folder, or let this user write to that one)"
	err := checkPrivate(dir)
	for err != nil && errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		_, err = os.Stat(dir)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w %s", err, hint)
	}
	if err != nil {
		return err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is not a folder (try: another data folder)", dir)
	}
	if err := writable(dir); err != nil {
		return fmt.Errorf("%w %s", err, hint)
	}
	return nil
}

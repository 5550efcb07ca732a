package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckCreatable reports, without writing, whether [Open] could create a store
// in an empty or missing data folder: the folder, or its nearest existing
// parent, must be writable for this process.
func CheckCreatable(dir string) error {
	const hint = "(try: another data folder, or make this one writable for this user)"
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

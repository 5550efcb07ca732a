package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rota-dev/rota"
)

// CheckCreatable reports, without writing, whether [Open] could create a store
// in an empty or missing data folder: the folder, or its nearest existing
// parent, must be writable for this process. volume is [Options.Volume].
func CheckCreatable(dir, volume string) error {
	const hint = "another data folder, or make this one writable for this user"
	err := checkFolder(dir, volume)
	for err != nil && errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		if _, err = os.Stat(dir); err == nil {
			err = checkWay(dir, volume)
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return rota.WithRemedies(err, rota.Outside(hint))
	}
	if err != nil {
		return err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return rota.WithRemedies(fmt.Errorf("%s is not a folder", dir), rota.Outside("another data folder"))
	}
	if err := writable(dir); err != nil {
		return rota.WithRemedies(err, rota.Outside(hint))
	}
	return nil
}

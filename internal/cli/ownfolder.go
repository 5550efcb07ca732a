package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// ownerFile names, in the default data folder, the configuration that uses it.
const ownerFile = "configuration"

// claimFolder makes sure that only one configuration uses the default data
// folder: two with secrets of the same names would take each other's records for
// their own, and replace each other's credentials. Whoever names a folder
// decides for themselves.
func (a *app) claimFolder(dir string) error {
	if a.dataDirFlag != "" || a.environment["ROTA_DATA_DIR"] != "" || a.databaseURL() != "" {
		return nil
	}
	path, err := filepath.Abs(a.configPath())
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return nil //nolint:nilerr // a command that needs none, or one that reports it
	}
	marker := filepath.Join(dir, ownerFile)
	recorded, err := os.ReadFile(marker)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	owner := strings.TrimSpace(string(recorded))
	if owner == path {
		return nil
	}
	if other, err := os.Stat(owner); owner != "" && err == nil { //nolint:gosec // from a file in a folder of ours
		this, err := os.Stat(path)
		if err == nil && os.SameFile(this, other) {
			return nil
		}
		return rota.WithRemedies(
			usage("the data folder %s belongs to %s, and this configuration is %s; secrets with the same name would share one record", dir, owner, path),
			slices.Concat(rota.Outside("use --data-dir, or ROTA_DATA_DIR, with a folder for each"),
				rota.Outside("remove "+marker+" if this configuration replaces the other")))
	}
	// There is no other configuration, or it was moved or deleted.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(marker, []byte(path+"\n"), 0o600); err != nil {
		return fmt.Errorf("record which configuration uses the data folder: %w", err)
	}
	return nil
}

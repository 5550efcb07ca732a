package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

// A process that has the database open never sees a file that is put in its place.
func TestNothingIsWrittenToAFileThatWasReplaced(t *testing.T) {
	for name, replace := range map[string]func(path string) error{
		"replaced": func(path string) error {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return errors.Join(os.WriteFile(path+".new", text, 0o600), os.Rename(path+".new", path))
		},
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			db := openAt(t, dir, nil)
			note(t, db, 2)
			path := filepath.Join(dir, databaseFile)
			must(t, replace(path))
			err := db.Audit().Record(t.Context(), entryNo(3))
			if err == nil || !strings.Contains(err.Error(), "was replaced or removed") || len(rota.RemediesOf(err)) == 0 {
				t.Errorf("%v, want that the file was replaced, and a remedy", err)
			}
			if err := db.CheckWrites(t.Context()); err == nil {
				t.Error("the store can still be written to")
			}
		})
	}
}

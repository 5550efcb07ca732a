//go:build linux || darwin || freebsd || netbsd || openbsd

package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/hint"
)

// TestAStoreThatOthersCouldReplaceIsRefused changes a new store's owners, and what
// leads to it.
func TestAStoreThatOthersCouldReplaceIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const eve = 1234
	for name, c := range map[string]struct {
		prepare func(t *testing.T, above, dir string) string // returns the way to it
		want    string
	}{
		"its own": {func(_ *testing.T, _, dir string) string { return dir }, ""},
		"a folder of someone else": {func(t *testing.T, _, dir string) string {
			must(t, os.Chown(dir, eve, eve))
			return dir
		}, "belongs to user 1234"},
		"a key file of someone else": {func(t *testing.T, _, dir string) string {
			must(t, os.Chown(filepath.Join(dir, keyFile), eve, eve))
			return dir
		}, "belongs to user 1234"},
		"a database of someone else": {func(t *testing.T, _, dir string) string {
			must(t, os.Chown(filepath.Join(dir, databaseFile), eve, eve))
			return dir
		}, "belongs to user 1234"},
		"below a folder of someone else": {func(t *testing.T, above, dir string) string {
			must(t, os.Chown(above, eve, eve))
			return dir
		}, "belongs to user 1234"},
		"below a folder that everyone can write to": {func(t *testing.T, above, dir string) string {
			must(t, os.Chmod(above, 0o777))
			return dir
		}, "can be written to by everyone"},
		"below one with the sticky bit": {func(t *testing.T, above, dir string) string {
			must(t, os.Chmod(above, 0o777|os.ModeSticky))
			return dir
		}, ""},
		"through a link of someone else": {func(t *testing.T, above, dir string) string {
			link := filepath.Join(filepath.Dir(above), "link")
			must(t, os.Symlink(dir, link))
			must(t, os.Lchown(link, eve, eve))
			return link
		}, "belongs to user 1234"},
		"through a link of its own": {func(t *testing.T, above, dir string) string {
			link := filepath.Join(filepath.Dir(above), "link")
			must(t, os.Symlink("above/../above/data", link))
			return link
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			above := filepath.Join(t.TempDir(), "above")
			dir := filepath.Join(above, "data")
			must(t, os.Mkdir(above, 0o755))
			first, err := Open(t.Context(), Options{Dir: dir})
			must(t, err)
			must(t, first.Close())
			db, err := Open(t.Context(), Options{Dir: c.prepare(t, above, dir)})
			if err == nil {
				must(t, db.Close())
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(hint.Text(err), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

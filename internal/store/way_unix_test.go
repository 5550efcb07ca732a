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

func TestAVolumeMayBeginWithAFolderThatEveryoneCanWriteTo(t *testing.T) {
	volume := filepath.Join(t.TempDir(), "volume")
	must(t, os.Mkdir(volume, 0o755))
	must(t, os.Chmod(volume, 0o777|os.ModeSetgid))
	dir := filepath.Join(volume, "data")
	if _, err := Open(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "can be written to by everyone") {
		t.Errorf("outside a volume: %v", err)
	}
	if err := CheckCreatable(dir, volume); err != nil {
		t.Error(err)
	}
	for range 2 { // the second time, everything is there
		db, err := Open(t.Context(), Options{Dir: dir, Volume: volume + "/"})
		must(t, err)
		must(t, db.Close())
	}
	must(t, os.Chmod(dir, 0o770))
	if _, err := Open(t.Context(), Options{Dir: dir, Volume: volume}); err == nil || !strings.Contains(err.Error(), "accessible to others") {
		t.Errorf("others can write to the data folder: %v", err)
	}
}

func TestAProvidedKeyFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	first := t.TempDir()
	must(t, os.Chmod(first, 0o700))
	db, err := Open(t.Context(), Options{Dir: first})
	must(t, err)
	must(t, db.Close())
	key, err := os.ReadFile(filepath.Join(first, keyFile))
	must(t, err)
	must(t, os.Remove(filepath.Join(first, keyFile)))

	mount := filepath.Join(t.TempDir(), "mount") // as the kubelet mounts a Secret
	must(t, os.MkdirAll(filepath.Join(mount, "..2026"), 0o755))
	must(t, os.Chmod(mount, 0o777|os.ModeSticky))
	must(t, os.WriteFile(filepath.Join(mount, "..2026", keyFile), key, 0o600))
	must(t, os.Symlink("..2026", filepath.Join(mount, "..data")))
	must(t, os.Symlink("..data/"+keyFile, filepath.Join(mount, keyFile)))
	path := filepath.Join(mount, keyFile)
	open := func() (*DB, error) {
		return Open(t.Context(), Options{Dir: first, KeyFile: path, KeyFileProvided: true})
	}
	for mode, want := range map[os.FileMode]string{0o440: "", 0o400: "", 0o444: "mode 0444", 0o460: "mode 0460"} {
		must(t, os.Chmod(path, mode))
		db, err := open()
		if err == nil {
			if err := db.RotateMasterKey(t.Context(), func(int, int) {}); err == nil || !strings.Contains(hint.Text(err), "doesn't write it") {
				t.Errorf("it was rotated: %v", err)
			}
			must(t, db.Close())
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("mode %o: %v, want %q", mode, err, want)
		}
	}
	now, err := os.ReadFile(path)
	must(t, err)
	if string(now) != string(key) {
		t.Error("the file was written")
	}
	must(t, os.Remove(path))
	if _, err := open(); err == nil || !strings.Contains(hint.Text(err), "rota migrate") {
		t.Errorf("without the file: %v", err)
	}
}

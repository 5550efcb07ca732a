package client_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota/client"
)

var cacheKey = bytes.Repeat([]byte{7}, 32)

func fileCache(t *testing.T, folder string, key []byte) client.Cache {
	t.Helper()
	c, err := client.FileCache(folder, key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cachedFile is the only file in the folder.
func cachedFile(t *testing.T, folder string) string {
	t.Helper()
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	return filepath.Join(folder, files[0].Name())
}

func TestAColdStartWithoutTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		source := polled()
		first := open(t, client.Options{Source: source, Cache: fileCache(t, folder, cacheKey)})
		password(t, first.Secret(db))
		first.Close()

		source.Delay(time.Hour) // it hangs
		began := time.Now()
		s := open(t, client.Options{Source: source, Cache: fileCache(t, folder, cacheKey)}).Secret(db)
		if got := password(t, s); got != "one" {
			t.Errorf("password %q", got)
		}
		if waited := time.Since(began); waited > 3*time.Second {
			t.Errorf("waited %s", waited)
		}
		if status := s.Status(); !status.ConfirmedAt.IsZero() || status.Err == nil || status.Version != "v1" {
			t.Errorf("status %+v", status)
		}
		source.Delay(0)
		source.Set(db, fields("two"))
		time.Sleep(2 * time.Minute)
		if got := password(t, s); got != "two" || s.Status().ConfirmedAt.IsZero() {
			t.Errorf("password %q, %+v once the source is back", got, s.Status())
		}
	})
}

func TestACachedValueThatIsNoUse(t *testing.T) {
	away := errors.New("away")
	for name, spoil := range map[string]func(t *testing.T, folder string) (key []byte){
		"cut off": func(t *testing.T, folder string) []byte {
			file := cachedFile(t, folder)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, text[:len(text)/2], 0o600); err != nil {
				t.Fatal(err)
			}
			return cacheKey
		},
		"empty": func(t *testing.T, folder string) []byte {
			if err := os.WriteFile(cachedFile(t, folder), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return cacheKey
		},
		"another key": func(*testing.T, string) []byte { return bytes.Repeat([]byte{8}, 32) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				folder := t.TempDir()
				if err := fileCache(t, folder, cacheKey).Save(db, client.NewValue("v1", fields("one"))); err != nil {
					t.Fatal(err)
				}
				key := spoil(t, folder)
				source := polled()
				source.Fail(away)
				s := open(t, client.Options{Source: source, Cache: fileCache(t, folder, key)}).Secret(db)
				if v, err := s.Get(t.Context()); !errors.Is(err, away) {
					t.Errorf("%v, %v", v, err)
				}
				source.Fail(nil)
				if got := password(t, s); got != "one" {
					t.Errorf("password %q once the source is back", got)
				}
			})
		})
	}
}

func TestACachedValueBelongsToItsSecret(t *testing.T) {
	folder := t.TempDir()
	c := fileCache(t, folder, cacheKey)
	if err := c.Save("a", client.NewValue("v1", fields("one"))); err != nil {
		t.Fatal(err)
	}
	ofA := cachedFile(t, folder)
	if err := c.Save("b", client.NewValue("v1", fields("two"))); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files { // one secret's file in the other's place
		if path := filepath.Join(folder, f.Name()); path != ofA {
			if err := os.Rename(ofA, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if v, err := c.Load("b"); err == nil || !v.IsZero() {
		t.Errorf("%v, %v", v, err)
	}
}

func TestTheCacheShowsNothing(t *testing.T) {
	folder := t.TempDir()
	if err := fileCache(t, folder, cacheKey).Save(db, client.NewValue("v1", fields("s3cr3t"))); err != nil {
		t.Fatal(err)
	}
	file := cachedFile(t, folder)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("s3cr3t")) || bytes.Contains([]byte(file), []byte("orders")) || info.Mode().Perm() != 0o600 {
		t.Errorf("%s (%s): %q", file, info.Mode(), text)
	}
}

func TestRevokedAccessEmptiesTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		source := polled()
		s := open(t, client.Options{Source: source, Cache: fileCache(t, folder, cacheKey)}).Secret(db)
		password(t, s)
		source.Deny(db, true)
		time.Sleep(2 * time.Minute)
		if files, err := os.ReadDir(folder); err != nil || len(files) != 0 {
			t.Errorf("%v, %v", files, err)
		}
		if got := password(t, s); got != "one" {
			t.Errorf("password %q: the running program goes on", got)
		}
	})
}

func TestAShortKeyIsRefused(t *testing.T) {
	if _, err := client.FileCache(t.TempDir(), []byte("short")); err == nil {
		t.Error("no error")
	}
}

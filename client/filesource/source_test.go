package filesource_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/filesource"
	"github.com/rota-dev/rota/internal/testenv"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".tmp", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}

// mount writes a Secret's fields as the kubelet does: a new folder, and a symlink
// that's swapped.
func mount(t *testing.T, folder string, round int, fields map[string]string) {
	t.Helper()
	name := fmt.Sprintf("..round_%d", round)
	if err := os.MkdirAll(filepath.Join(folder, name), 0o700); err != nil {
		t.Fatal(err)
	}
	for field, value := range fields {
		if err := os.WriteFile(filepath.Join(folder, name, field), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(folder, field)
		if _, err := os.Lstat(link); errors.Is(err, os.ErrNotExist) {
			if err := os.Symlink(filepath.Join("..data", field), link); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Symlink(name, filepath.Join(folder, "..data_tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(folder, fmt.Sprintf("..round_%d", round-1))); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, folder string) *client.Client {
	t.Helper()
	c, err := client.Open(client.Options{Source: filesource.New(folder), Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func get(t *testing.T, s *client.Secret) client.Value {
	t.Helper()
	v, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAFile(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "db.json"), `{"password":"one"}`)
	write(t, filepath.Join(folder, "token"), "plain")
	c := open(t, folder)
	if v := get(t, c.Secret("token")); v.Text() != "plain" {
		t.Errorf("%q", v.Text())
	}
	s := c.Secret("db.json")
	if v := get(t, s); v.Field("password") != "one" {
		t.Errorf("%v", v)
	}
	version := get(t, s).Version()
	write(t, filepath.Join(folder, "db.json"), `{"password":"one"}`)
	write(t, filepath.Join(folder, "token"), "other")
	testenv.Eventually(t, "the token's new content", func() bool { return get(t, c.Secret("token")).Text() == "other" })
	if get(t, s).Version() != version {
		t.Error("the same content is another version")
	}
	write(t, filepath.Join(folder, "db.json"), `{"password":"two"}`)
	testenv.Eventually(t, "the new password", func() bool { return get(t, s).Field("password") == "two" })
	if err := os.Remove(filepath.Join(folder, "db.json")); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the missing file is noticed", func() bool { return errors.Is(s.Status().Err, client.ErrNotFound) })
	if v := get(t, s); v.Field("password") != "two" {
		t.Errorf("%v once the file is gone", v)
	}
}

func TestAMountedSecretIsNeverTorn(t *testing.T) {
	folder := t.TempDir()
	mounted := filepath.Join(folder, "db")
	round := 0
	next := func() {
		round++
		n := strconv.Itoa(round)
		fields := map[string]string{"username": "user-" + n, "password": "password-" + n}
		for i := range 20 { // with more files, removing the old ones takes longer
			fields["option-"+strconv.Itoa(i)] = n
		}
		mount(t, mounted, round, fields)
	}
	next()
	s := open(t, folder).Secret("db")
	get(t, s)
	source := filesource.New(folder)
	stop := make(chan struct{})
	ended := make(chan int)
	go func() {
		reads := 0
		for {
			select {
			case <-stop:
				ended <- reads
				return
			default:
			}
			v, err := source.Fetch(t.Context(), client.Request{Secret: "db"})
			if err != nil {
				t.Error(err)
			}
			reads++
			if strings.TrimPrefix(v.Field("username"), "user-") != strings.TrimPrefix(v.Field("password"), "password-") || v.Field("password") == "" || len(v.Names()) != 22 {
				t.Errorf("%q with %q, %d fields", v.Field("username"), v.Field("password"), len(v.Names()))
			}
		}
	}()
	for range 150 {
		next()
	}
	close(stop)
	if reads := <-ended; reads < 10 {
		t.Errorf("only %d reads", reads)
	}
	testenv.Eventually(t, "the last round", func() bool { return get(t, s).Field("username") == "user-"+strconv.Itoa(round) })
}

func TestAPlainFolder(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "db", "username"), "a")
	write(t, filepath.Join(folder, "db", "password"), "one")
	write(t, filepath.Join(folder, "db", ".hidden"), "x")
	s := open(t, folder).Secret("db")
	if v := get(t, s); fmt.Sprint(v.Names()) != "[password username]" || v.Field("password") != "one" {
		t.Errorf("%v", v)
	}
	write(t, filepath.Join(folder, "db", "password"), "two")
	testenv.Eventually(t, "the new password", func() bool { return get(t, s).Field("password") == "two" })
}

func TestWhatIsNoSecret(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "..", "outside"), "secret")
	write(t, filepath.Join(folder, "large"), strings.Repeat("x", 1<<20+1))
	if err := os.Mkdir(filepath.Join(folder, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := open(t, folder)
	for _, name := range []string{"missing", "../outside", "/etc/hostname", "empty", ""} {
		if v, err := c.Secret(name).Get(t.Context()); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("%q: %v, %v", name, v, err)
		}
	}
	if _, err := filesource.New(folder).Fetch(t.Context(), client.Request{Secret: "large"}); err == nil {
		t.Error("a file larger than 1 MiB was read")
	}
	if _, err := filesource.New(folder).Fetch(t.Context(), client.Request{Secret: "large", Previous: true}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

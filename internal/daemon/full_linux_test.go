package daemon_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
)

func TestAFullDiskIsNotReady(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=8m,mode=0700"); err != nil {
		testenv.Missing(t, "a small file system", "mount: "+err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(data, syscall.MNT_DETACH) })
	w := &world{t: t, file: filepath.Join(dir, "rota.yaml")}
	w.configure("secrets: [{name: app/licence, issuer: {manual: {what: a licence}}, policy: {rotate_every: 90d}}]\n")
	w.open(store.Options{Dir: data})
	var err error
	if w.key, err = access.NewAdministration(w.db.Directory(), w.db.Audit(), nil).Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.serve("")
	var doc struct{ Reason string }
	ready := func() int { return w.do(http.MethodGet, "/readyz", &doc).StatusCode }
	eventually(t, "it is ready", func() bool { return ready() == http.StatusOK })
	filler := filepath.Join(data, "filler")
	fill(t, filler)
	eventually(t, "the disk is too full for another entry of the audit", func() bool {
		fill(t, filler)
		status, _ := w.send(http.MethodPost, "/v1/freeze", `{"reason": "`+strings.Repeat("stocktaking ", 10)+`"}`)
		if status == http.StatusOK {
			_, _ = w.send(http.MethodPost, "/v1/thaw", "")
		}
		return status >= http.StatusInternalServerError
	})
	eventually(t, "it is not ready", func() bool {
		return ready() == http.StatusServiceUnavailable && strings.Contains(doc.Reason, "can't be written to")
	})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is ready again", func() bool { return ready() == http.StatusOK })
	if status, answer := w.send(http.MethodPost, "/v1/freeze", `{"reason": "stocktaking"}`); status != http.StatusOK {
		t.Errorf("freeze: %d %s", status, answer)
	}
}

// fill takes what is left of a file's disk.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, size := range []int{1 << 16, 1 << 12, 1} {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
}

package daemon_test

import (
	"database/sql"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rota-dev/rota/internal/daemon"
)

// A daemon that has nothing to write notices, too.
func TestADaemonNoticesThatItsDatabaseWentBack(t *testing.T) {
	var mu sync.Mutex
	var said strings.Builder
	w := start(t, "", "secrets: []\n", func(o *daemon.Options) {
		o.Log = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return said.Write(p)
		}), nil))
	})
	direct, err := sql.Open("sqlite", filepath.Join(filepath.Dir(w.file), "data", "rota.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = direct.Close() }()
	exec := func(statement string) {
		t.Helper()
		if _, err := direct.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE then_head AS SELECT * FROM audit_head")
	w.do(http.MethodPost, "/v1/freeze", nil)
	w.do(http.MethodPost, "/v1/thaw", nil)
	exec(`BEGIN IMMEDIATE; DROP TRIGGER audit_no_delete; DELETE FROM audit WHERE seq > (SELECT seq FROM then_head);
		DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM then_head; COMMIT`)
	eventually(t, "the log says so", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(said.String(), "the database went back to an older state: secrets are compared")
	})
	if at, err := w.db.RestoredAt(t.Context()); err != nil || at.IsZero() {
		t.Errorf("restored at %v, %v", at, err)
	}
}

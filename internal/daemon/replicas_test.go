package daemon_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/daemon"
	"github.com/rota-dev/rota/internal/store"
)

// lagging never notices by itself that its rota.yaml was edited.
func lagging(o *daemon.Options) { o.WatchEvery = time.Hour }

func TestAnEditReadByOneOfThreeReplicasIsNotLost(t *testing.T) {
	database := server.Get(t).NewDatabase(t)
	text := roleConfig(t, "spread", "90d")
	every := func(d string) string { return strings.Replace(text, "rotate_every: 90d", "rotate_every: "+d, 1) }
	first := start(t, database, text, lagging)
	second := first.replica(database, text, lagging)
	first.replica(database, text, lagging)
	// planned waits until the last look used this policy.
	planned := func(days time.Duration) {
		t.Helper()
		eventually(t, "planned by "+days.String(), func() bool {
			snapshot, err := first.db.Journal().Load(t.Context(), "app/spread")
			p := snapshot.Progress
			return err == nil && !p.NextAt.IsZero() && p.Status.RotateAt.Equal(p.Status.IssuedAt.Add(days))
		})
	}
	ask := func(w *world, path string) {
		t.Helper()
		if a := w.do(http.MethodPost, path, nil); a.StatusCode >= 300 {
			t.Fatalf("%s: %s", path, a.Status)
		}
	}
	ask(first, "/v1/secrets/app%2Fspread/rotate")
	planned(90 * rota.Day)
	for i, days := range []string{"80d", "70d", "60d"} {
		first.configure(every(days))
		ask(first, "/v1/reload")
		planned(time.Duration(80-10*i) * rota.Day)
	}
	// Whichever replica gets a person's request carries it out; what follows is
	// decided by the active policy.
	ask(second, "/v1/secrets/app%2Fspread/rotate")
	planned(60 * rota.Day)
	// The others have already read the active configuration: nothing changes.
	second.configure(every("60d"))
	ask(second, "/v1/reload")
	planned(60 * rota.Day)
}

func TestAReplicaWithAnOutdatedMasterKey(t *testing.T) {
	database := server.Get(t).NewDatabase(t)
	w := start(t, database, roleConfig(t, "rekeyed", "90d"), lagging)
	ready := func() (status int, reason string) {
		var doc struct{ Reason string }
		return w.do(http.MethodGet, "/readyz", &doc).StatusCode, doc.Reason
	}
	eventually(t, "ready", func() bool { status, _ := ready(); return status == http.StatusOK })

	dir, copied := filepath.Join(filepath.Dir(w.file), "data"), t.TempDir()
	key, err := os.ReadFile(filepath.Join(dir, "rota.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(copied, 0o700), os.WriteFile(filepath.Join(copied, "rota.key"), key, 0o600)); err != nil {
		t.Fatal(err)
	}
	elsewhere, err := store.Open(t.Context(), store.Options{Dir: copied, DSN: database})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = elsewhere.Close() }()
	if err := elsewhere.RotateMasterKey(t.Context(), nil); !errors.Is(err, store.ErrReplicasRunning) || !strings.Contains(err.Error(), "1 replica ") {
		t.Fatalf("rotated under a replica: %v", err)
	}
	// A replica that nobody knows about, such as one of an older version.
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "DELETE FROM replicas"); err != nil {
		t.Fatal(err)
	}
	if err := elsewhere.RotateMasterKey(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if status, reason := ready(); status != http.StatusServiceUnavailable || !strings.Contains(reason, "master key") {
		t.Errorf("with the old master key: %d %q", status, reason)
	}
	if key, err = os.ReadFile(filepath.Join(copied, "rota.key")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rota.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, reason := ready(); status != http.StatusOK {
		t.Errorf("with a copy of the new master key: %d %q", status, reason)
	}
}

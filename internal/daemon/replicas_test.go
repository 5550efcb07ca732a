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

// planned waits until the last look at a secret used this policy.
func (w *world) planned(secret string, days time.Duration) {
	w.t.Helper()
	eventually(w.t, "planned by "+days.String(), func() bool {
		snapshot, err := w.db.Journal().Load(w.t.Context(), secret)
		p := snapshot.Progress
		return err == nil && !p.NextAt.IsZero() && p.Status.RotateAt.Equal(p.Status.IssuedAt.Add(days))
	})
}

func (w *world) ask(path string) {
	w.t.Helper()
	if a := w.do(http.MethodPost, path, nil); a.StatusCode >= 300 {
		w.t.Fatalf("%s: %s", path, a.Status)
	}
}

// Another replica could take an edited secret's job from the queue, which would
// have to leave it to the one that read the edit.
func TestAnEditStartsItsTurnsWithoutTheQueue(t *testing.T) {
	database := server.Get(t).NewDatabase(t)
	text := roleConfig(t, "prompt", "90d")
	w := start(t, database, text, lagging)
	w.ask("/v1/secrets/app%2Fprompt/rotate")
	w.planned("app/prompt", 90*rota.Day)
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	// While the first turn ends, the edit's has to wait for it, in the queue.
	eventually(t, "the first turn's job has ended", func() bool {
		var open int
		err := conn.QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE finalized_at IS NULL").Scan(&open)
		return err == nil && open == 0
	})
	const noJobs = `CREATE FUNCTION put_off() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN NEW.state := 'scheduled'; NEW.scheduled_at := now() + interval '1 day'; RETURN NEW; END$$;
		CREATE TRIGGER put_off BEFORE INSERT ON river_job FOR EACH ROW EXECUTE FUNCTION put_off()`
	if _, err := conn.Exec(t.Context(), noJobs); err != nil {
		t.Fatal(err)
	}
	w.configure(strings.Replace(text, "rotate_every: 90d", "rotate_every: 80d", 1))
	w.ask("/v1/reload")
	w.planned("app/prompt", 80*rota.Day)
}

func TestAnEditReadByOneOfThreeReplicasIsNotLost(t *testing.T) {
	database := server.Get(t).NewDatabase(t)
	text := roleConfig(t, "spread", "90d")
	every := func(d string) string { return strings.Replace(text, "rotate_every: 90d", "rotate_every: "+d, 1) }
	first := start(t, database, text, lagging)
	second := first.replica(database, text, lagging)
	first.replica(database, text, lagging)
	first.ask("/v1/secrets/app%2Fspread/rotate")
	first.planned("app/spread", 90*rota.Day)
	for i, days := range []string{"80d", "70d", "60d"} {
		first.configure(every(days))
		first.ask("/v1/reload")
		first.planned("app/spread", time.Duration(80-10*i)*rota.Day)
	}
	// Whichever replica gets a person's request carries it out; what follows is
	// decided by the active policy, once a replica that has it takes the job.
	second.ask("/v1/secrets/app%2Fspread/rotate")
	first.planned("app/spread", 60*rota.Day)
	// The others have already read the active configuration: nothing changes.
	second.configure(every("60d"))
	second.ask("/v1/reload")
	first.planned("app/spread", 60*rota.Day)
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

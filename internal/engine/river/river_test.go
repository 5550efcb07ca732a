//go:build unix

package river

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

var server testenv.SharedPostgres

func TestMain(m *testing.M) {
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// database returns a pool on a database of the test's own, with the queue's
// schema.
func database(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), server.Get(t).NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	for range 2 { // the second time it's a no-op
		if err := Migrate(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}

// fleet is secrets on in-memory issuers, in a store that all replicas share.
type fleet struct {
	testing.TB
	db      *store.DB
	pool    *pgxpool.Pool
	secrets engine.Secrets
	issuers map[string]*memory.AccessKeys
	all     []*rotation.Secret
}

func newFleet(t testing.TB, systems map[string][]string) *fleet {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	f := &fleet{TB: t, db: db, pool: database(t), issuers: map[string]*memory.AccessKeys{}}
	fingerprints := map[string]string{}
	for name, needed := range systems {
		f.issuers[name] = memory.NewAccessKeys(memory.AccessKeysOptions{})
		f.all = append(f.all, &rotation.Secret{
			Name: name, Systems: needed, Issuer: f.issuers[name], Store: db.Secret(name), Policy: rotation.Policy{RotateEvery: 90 * rota.Day},
		})
		fingerprints[name] = ""
	}
	f.secrets.Replace(f.all, nil)
	if _, err := db.Queue().Enroll(t.Context(), fingerprints); err != nil {
		t.Fatal(err)
	}
	return f
}

// replica creates another replica.
func (f *fleet) replica(change func(*Options, *engine.WorkerOptions)) *Service {
	f.Helper()
	wo := engine.WorkerOptions{
		Rotator: &rotation.Rotator{Journal: f.db.Journal()}, Secrets: &f.secrets,
	}
	o := Options{Pool: f.pool, Queue: f.db.Queue(), DrainTimeout: 5 * time.Second, Every: time.Second}
	if change != nil {
		change(&o, &wo)
	}
	o.Worker = engine.NewWorker(wo)
	s, err := New(o)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// run starts a replica and returns a function that stops it.
func (f *fleet) run(s *Service) func() {
	f.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			f.Error(err)
		}
	})
	f.Cleanup(stop)
	return stop
}

// until polls.
func until(t testing.TB, what string, within time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s", within, what)
		case <-tick.C:
		}
	}
}

// left counts the secrets without a credential.
func (f *fleet) left() int {
	f.Helper()
	all, err := f.db.Overview().Statuses(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	n := len(f.issuers)
	for _, s := range all {
		if s.Status.Version != "" && s.Status.BegunAt.IsZero() {
			n--
		}
	}
	return n
}

func TestThreeReplicasRotateEachSecretOnce(t *testing.T) {
	systems := map[string][]string{}
	for i := range 300 {
		systems[fmt.Sprintf("s%03d", i)] = []string{fmt.Sprintf("db%d", i%30)}
	}
	f := newFleet(t, systems)
	var mu sync.Mutex
	turns := map[string]int{} // by replica
	for i := range 3 {
		f.run(f.replica(func(_ *Options, w *engine.WorkerOptions) {
			w.OnOutcome = func(engine.Outcome) {
				mu.Lock()
				defer mu.Unlock()
				turns[fmt.Sprint(i)]++
			}
		}))
	}
	until(t, "all have a credential", time.Minute, func() bool { return f.left() == 0 })
	for name, issuer := range f.issuers {
		if keys, err := issuer.List(t.Context()); err != nil || len(keys) != 1 {
			t.Errorf("%s: the issuer made %d keys, %v", name, len(keys), err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(turns) < 2 {
		t.Errorf("turns by replica: %v, want the work distributed", turns)
	}
	if _, err := f.db.Audit().Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if n := f.count("SELECT count(*) FROM river_job WHERE kind = 'rota_turn' AND args::text LIKE '%AKIA%'"); n != 0 {
		t.Errorf("%d jobs hold more than names", n)
	}
}

// count gives the number that a query gives.
func (f *fleet) count(query string, args ...any) int {
	f.Helper()
	var n int
	if err := f.pool.QueryRow(f.Context(), query, args...).Scan(&n); err != nil {
		f.Fatal(err)
	}
	return n
}

func TestAHungSystemDelaysNobodyElse(t *testing.T) {
	systems := map[string][]string{}
	for i := range 40 {
		systems[fmt.Sprintf("hung%02d", i)] = []string{"hung"}
		systems[fmt.Sprintf("well%02d", i)] = []string{fmt.Sprintf("db%d", i)}
	}
	f := newFleet(t, systems)
	goOn := make(chan struct{})
	for _, s := range f.all {
		if s.Systems[0] == "hung" {
			s.Issuer = hanging{f.issuers[s.Name], goOn}
		}
	}
	f.run(f.replica(func(o *Options, w *engine.WorkerOptions) {
		w.Limits = engine.Limits{Workers: 4, PerSystem: 2, Patience: 50 * time.Millisecond}
		o.Slots = 16
	}))
	until(t, "all but the hung ones have a credential", 30*time.Second, func() bool { return f.left() == 40 })
	until(t, "those without room at the hung system are put off", 30*time.Second, func() bool {
		return f.count("SELECT count(*) FROM river_job WHERE kind = 'rota_turn' AND state = 'running'") <= 4
	})
	close(goOn)
	until(t, "the hung ones have a credential too", time.Minute, func() bool { return f.left() == 0 })
}

// hanging doesn't respond until released.
type hanging struct {
	*memory.AccessKeys
	goOn chan struct{}
}

func (h hanging) Test(ctx context.Context, r rota.TestRequest) error {
	select {
	case <-h.goOn:
		return h.AccessKeys.Test(ctx, r)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestAJobWhoseWorkerDiedBeforeStartingIsReplaced(t *testing.T) {
	f := newFleet(t, map[string][]string{"a": nil})
	s := f.replica(func(o *Options, _ *engine.WorkerOptions) { o.LostAfter = time.Minute })
	if err := s.scan(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	jobs := func() int { return f.count("SELECT count(*) FROM river_job WHERE kind = 'rota_turn'") }
	for i, tt := range []struct {
		name   string
		forget bool
		taken  string // how long ago a worker took the latest job
		want   int
	}{
		{"it is enqueued already", false, "", 1},
		{"another replica enqueued it", true, "", 1},
		{"a worker took it just now", true, "30 seconds", 1},
		{"a worker took it long ago", true, "2 minutes", 2},
		{"the other job waits for a worker", true, "", 2},
		{"the other job is lost too", true, "2 minutes", 3},
	} {
		if tt.forget {
			s.enqueued = recentJobs{}
		}
		if tt.taken != "" {
			if _, err := f.pool.Exec(t.Context(), `UPDATE river_job SET state = 'running', attempted_at = now() - $1::interval, attempt = 1
				WHERE id = (SELECT max(id) FROM river_job WHERE kind = 'rota_turn')`, tt.taken); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.scan(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if got := jobs(); got != tt.want {
			t.Errorf("%d. %s: %d jobs, want %d", i, tt.name, got, tt.want)
		}
	}
	f.run(f.replica(nil))
	until(t, "it has a credential", 30*time.Second, func() bool { return f.left() == 0 })
}

func TestAtShutdownTurnsAreReleased(t *testing.T) {
	f := newFleet(t, map[string][]string{"a": {"x"}})
	begun := make(chan struct{})
	f.all[0].Issuer = hanging{f.issuers["a"], nil}
	stop := f.run(f.replica(func(o *Options, w *engine.WorkerOptions) {
		o.DrainTimeout = 100 * time.Millisecond
		w.Rotator.Report = func(r rotation.Report) {
			if r.Decision.Step == rota.StepTest && !r.Done {
				close(begun)
			}
		}
	}))
	<-begun
	stop()
	due, err := f.db.Queue().Due(t.Context(), rotation.DueQuery{Now: time.Now(), Limit: 10})
	if err != nil || len(due) != 1 {
		t.Fatalf("due: %v, %v, want the turn handed back", due, err)
	}
	f.all[0].Issuer = f.issuers["a"]
	f.run(f.replica(nil))
	until(t, "the other replica has done it", 30*time.Second, func() bool { return f.left() == 0 })
	if keys, err := f.issuers["a"].List(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("the issuer made %d keys, %v", len(keys), err)
	}
}

func TestTheQueueDoesNotRetryFailedTurns(t *testing.T) {
	f := newFleet(t, map[string][]string{"a": {"x"}})
	calls := make(chan struct{}, 10)
	f.all[0].Issuer = memory.NewAccessKeys(memory.AccessKeysOptions{Options: memory.Options{Faults: func(c memory.Call) memory.Fault {
		if c.Op != "issuer.create" {
			return memory.Fault{}
		}
		calls <- struct{}{}
		return memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: errors.New("denied")}}
	}}})
	s := f.replica(nil)
	f.run(s)
	until(t, "the job is finished", 30*time.Second, func() bool {
		return f.count("SELECT count(*) FROM river_job WHERE kind = 'rota_turn' AND state = 'cancelled' AND errors[1]::text LIKE '%denied%'") == 1
	})
	finished := time.Now()
	until(t, "another look", 30*time.Second, func() bool { return s.Health().LastScan.After(finished) })
	if len(calls) != 1 {
		t.Errorf("the issuer was called %d times", len(calls))
	}
}

func TestThePageOfTheQueue(t *testing.T) {
	f := newFleet(t, map[string][]string{"prod/app": nil})
	s := f.replica(nil)
	if err := s.scan(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ui, err := s.UI(ctx, "/admin/queue")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/admin/queue/":                              "<html",
		"/admin/queue/api/jobs?state=available":      "prod/app",
		"/admin/queue/api/states":                    "available",
		"/admin/queue/api/jobs?state=no-such-status": "",
	} {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
		w := httptest.NewRecorder()
		ui.ServeHTTP(w, r)
		if want == "" && w.Code < 400 || want != "" && (w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want)) {
			t.Errorf("%s: %d %.200s", path, w.Code, w.Body)
		}
	}
}

func TestHealth(t *testing.T) {
	f := newFleet(t, map[string][]string{"a": nil, "b": nil})
	s := f.replica(nil)
	if h := s.Health(); !h.Stale(time.Now(), time.Hour) {
		t.Errorf("before the first look: %+v", h)
	}
	if err := s.scan(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	h := s.Health()
	if h.Stale(time.Now(), time.Minute) {
		t.Errorf("after a look: %+v", h)
	}
	h.LastScan = time.Time{}
	if diff := cmp.Diff(engine.Health{Due: 2, Load: engine.Load{Workers: 32}}, h); diff != "" {
		t.Errorf("health (-want +got):\n%s", diff)
	}
}

func TestDueWorkIsLeftToAReplicaWithTheActiveConfiguration(t *testing.T) {
	f := newFleet(t, map[string][]string{"a": {"x"}})
	f.all[0].Configuration = "old"
	if _, err := f.db.Queue().Enroll(t.Context(), map[string]string{"a": "new"}); err != nil {
		t.Fatal(err)
	}
	f.run(f.replica(nil))
	until(t, "it is put off, and again", 30*time.Second, func() bool {
		return f.count("SELECT count(*) FROM river_job WHERE kind = 'rota_turn' AND (metadata ->> 'snoozes')::int >= 2") == 1
	})
	if n := f.left(); n != 1 {
		t.Errorf("%d secrets have no credential, want the one left alone", n)
	}
	other := *f.all[0]
	other.Configuration = "new"
	f.secrets.Replace([]*rotation.Secret{&other}, nil)
	until(t, "it has a credential", 30*time.Second, func() bool { return f.left() == 0 })
	if n := f.count("SELECT count(*) FROM river_job WHERE kind = 'rota_turn'"); n != 1 {
		t.Errorf("%d jobs, want the one that was put off", n)
	}
}

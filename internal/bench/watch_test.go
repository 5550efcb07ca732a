package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/rotation"
)

// watched is the answer of the long poll, watchedAudit that of the audit.
type (
	watched      struct{ Version string }
	watchedAudit struct{ Entries []rotation.Entry }
)

// BenchmarkWatch has clients of a running rota serve wait for the next version
// of a secret, and rotates it. It reports how long after the promotion, which
// is in the audit, half of them and 99 of 100 knew of it at the latest.
func BenchmarkWatch(b *testing.B) {
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		for _, clients := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s, %d clients", database, clients), func(b *testing.B) {
				server := testenv.Postgres(b, testenv.PostgresOptions{Fsync: true})
				dsn := ""
				if database == "PostgreSQL" {
					dsn = server.NewDatabase(b)
				}
				watch(b, server, dsn, clients)
			})
		}
	}
}

func watch(b *testing.B, server *testenv.PostgresServer, database string, clients int) {
	const rotations = 40
	server.Exec(b, "CREATE ROLE watched LOGIN PASSWORD 'first'")
	c, err := pgx.ParseConfig(server.DSN())
	if err != nil {
		b.Fatal(err)
	}
	s := serve(b, database, fmt.Sprintf(`
connections:
  db: {postgres: {host: "127.0.0.1", port: %d, username: %s, sslmode: disable}}
secrets:
  - {name: watched, issuer: {connection: db, password: {role: watched}}, policy: {rotate_every: 30d}}
`, c.Port, server.Superuser())+generous, nil)
	client := clientsFor(b, clients+1)
	if err := s.get(b.Context(), client, http.MethodPost, "/v1/secrets/watched/rotate", nil); err != nil { // the first is for a person to begin
		b.Fatal(err)
	}
	var knew []time.Duration
	for b.Loop() {
		for range rotations {
			knew = append(knew, s.watchOne(b, client, clients)...)
		}
	}
	slices.Sort(knew)
	b.ReportMetric(float64(knew[len(knew)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(knew[len(knew)*99/100].Microseconds())/1000, "p99-ms")
}

// watchOne rotates once, and gives how long after the promotion each client
// knew of it.
func (s *served) watchOne(b *testing.B, client *http.Client, clients int) []time.Duration {
	b.Helper()
	var before watched
	if err := s.get(b.Context(), client, http.MethodGet, "/v1/secrets/watched/changes", &before); err != nil {
		b.Fatal(err)
	}
	at := make([]time.Time, clients)
	versions := make([]string, clients)
	var waiting sync.WaitGroup
	for i := range clients {
		waiting.Go(func() {
			var now watched
			path := "/v1/secrets/watched/changes?timeout=30&version=" + before.Version
			if err := s.get(b.Context(), client, http.MethodGet, path, &now); err != nil {
				b.Error(err)
			}
			at[i], versions[i] = time.Now(), now.Version
		})
	}
	// For all to wait; how long differs, so as not to keep step with the server.
	time.Sleep(100*time.Millisecond + rand.N(100*time.Millisecond))
	if err := s.get(b.Context(), client, http.MethodPost, "/v1/secrets/watched/rotate", nil); err != nil {
		b.Fatal(err)
	}
	waiting.Wait()
	if b.Failed() {
		b.FailNow()
	}
	var audit watchedAudit
	if err := s.get(b.Context(), client, http.MethodGet, "/v1/audit?limit=100&secret=watched", &audit); err != nil {
		b.Fatal(err)
	}
	var promoted time.Time
	for _, e := range audit.Entries {
		if e.Step == string(rota.StepPromote) && e.Version == versions[0] && e.Outcome == rotation.OutcomeBegun {
			promoted = e.At
		}
	}
	if promoted.IsZero() {
		b.Fatalf("the promotion of %s is not in the audit", versions[0])
	}
	var knew []time.Duration
	for _, t := range at {
		knew = append(knew, t.Sub(promoted))
	}
	return knew
}

// get asks the API, as the administrator, and decodes the answer into doc.
func (s *served) get(ctx context.Context, client *http.Client, method, path string, doc any) error {
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+s.key.Token())
	a, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, a.Status)
	}
	if doc == nil {
		return nil
	}
	return json.NewDecoder(a.Body).Decode(doc)
}

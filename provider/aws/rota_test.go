package aws

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/secretsmanager"
	"github.com/rota-dev/rota/internal/sigv4"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

// TestStoreConformanceAgainstRota runs the store of AWS Secrets Manager against
// Rota's own endpoint, over its database.
func TestStoreConformanceAgainstRota(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		providertest.Store(t, func(t *testing.T) providertest.StoreFixture { return startRota(t, "") })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := testenv.Postgres(t, testenv.PostgresOptions{})
		providertest.Store(t, func(t *testing.T) providertest.StoreFixture { return startRota(t, server.NewDatabase(t)) })
	})
}

// startRota serves an empty database, on SQLite without a DSN.
func startRota(t *testing.T, dsn string) providertest.StoreFixture {
	t.Helper()
	isolate(t)
	db, err := store.Open(t.Context(), store.Options{Dir: t.TempDir() + "/data", DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	key := sigv4.Key{Secret: "secret"}
	verifier := &sigv4.Verifier{Service: "secretsmanager"}
	endpoint := secretsmanager.New(secretsmanager.Options{
		Region: region, Records: record.Guard(db.Records(), nil),
		Authenticate: func(r *http.Request, body []byte) (access.Caller, error) {
			_, err := verifier.Verify(r, body, func(context.Context, string) (sigv4.Key, error) { return key, nil })
			return access.Local("test"), err
		},
	})
	t.Cleanup(endpoint.Close)
	server := httptest.NewServer(endpoint)
	t.Cleanup(server.Close)
	e := newEnv(t, server.URL, "ROTATEST", key.Secret)
	s := e.store(rota.FieldMap{})
	return providertest.StoreFixture{
		Store:  bare{s},
		Reopen: func(*testing.T) rota.Store { return bare{e.SecretsManager(s.cfg)} },
	}
}

// bare is a store without its preflight check, which asks STS and IAM.
type bare struct{ rota.Store }

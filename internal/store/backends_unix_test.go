//go:build unix

package store

import (
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

// server is the PostgreSQL server of all tests that don't stop it.
var server testenv.SharedPostgres

// newPostgresDir returns the data folder of a store in a new database.
func newPostgresDir(t testing.TB) string {
	t.Helper()
	return dirAt(t, server.Get(t).NewDatabase(t))
}

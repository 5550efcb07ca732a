//go:build !unix

package store

import (
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

func newPostgresDir(t testing.TB) string {
	t.Helper()
	testenv.Missing(t, "PostgreSQL", "run these tests on Linux")
	return ""
}

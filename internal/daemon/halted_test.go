package daemon

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// What's paused or frozen gets no turns, so somebody else has to renew its leases.
func TestHaltedSecretsAreKnown(t *testing.T) {
	db, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(t.TempDir(), "data")})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	t.Cleanup(func() { must(db.Close()) })
	for _, name := range []string{"a", "b"} {
		lease, err := db.Journal().Acquire(t.Context(), rotation.AcquireRequest{Secret: name, Holder: "h", TTL: time.Minute})
		must(err)
		must(db.Journal().Release(t.Context(), lease))
	}
	d := &Daemon{Options: Options{DB: db}}
	expect := func(a, b bool) {
		t.Helper()
		halted, err := d.halted(t.Context())
		must(err)
		if halted("a") != a || halted("b") != b {
			t.Errorf("a %t, b %t; want %t and %t", halted("a"), halted("b"), a, b)
		}
	}
	expect(false, false)
	by := access.Local("test")
	must(db.Queue().Pause(t.Context(), []string{"a"}, by, "why"))
	expect(true, false)
	must(db.Queue().Freeze(t.Context(), by, "why"))
	expect(true, true)
	must(db.Queue().Thaw(t.Context(), by, ""))
	must(db.Queue().Resume(t.Context(), []string{"a"}, by, ""))
	expect(false, false)
}

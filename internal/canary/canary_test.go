//go:build linux

package canary

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

func TestNoValueLeaks(t *testing.T) {
	l := newLedger()
	t.Run("life", func(t *testing.T) {
		var mu sync.Mutex
		for name, play := range map[string]func(*testing.T, *ledger){"PostgreSQL": playPostgres, "AWS": playAWS, "services": playServices, "machines": playMachines, "functions": playFunctions, "tokens": playTokens, "a cluster": playCluster} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				own := newLedger()
				play(t, own)
				mu.Lock()
				defer mu.Unlock()
				l.add(own)
			})
		}
	})
	hits, forms, size := l.scan()
	for _, h := range hits {
		t.Errorf("%s (%s) is in %s", h.what, h.form, h.where)
	}
	// The same scan finds the values where they are meant to be, and finds that
	// something had to be cut out elsewhere.
	found, _, _ := l.scanIn(l.shown)
	values := map[string]bool{}
	for _, h := range found {
		values[h.what] = true
	}
	for value, what := range l.values {
		if strings.HasPrefix(what, "a value of ") && !values[what] {
			t.Errorf("rota get shows %s, of %d bytes, and the scan does not find it there", what, len(value))
		}
	}
	redacted := slices.ContainsFunc(l.outputs, func(o output) bool {
		return strings.HasPrefix(o.name, "rota history") && bytes.Contains(o.content, []byte("[redacted]"))
	})
	if !redacted {
		t.Error("no value ever came near the audit: the reloaders that print what they read were not heard")
	}
	if t.Failed() {
		return
	}
	t.Logf("count: canary: %d values in %d forms, %d outputs, %d MB scanned, %d hits", len(l.values), forms, len(l.outputs), size>>20, len(hits))
}

func TestAPlantedValueIsFoundEverywhere(t *testing.T) {
	const planted = "planted-canary-5Rt8Yu2Io"
	w := newWorld(t, newLedger())
	w.secret("the planted value", planted)
	w.file("rota.yaml", "connections: {}\nsecrets: []\n", 0o600)
	w.file("spy/child", "saw "+planted, 0o600)
	w.file("tmp/left", "left "+planted, 0o600)
	w.keepOpen()
	db, err := store.Open(t.Context(), store.Options{Dir: w.path("data")})
	w.must(err)
	w.must(db.Audit().Record(t.Context(), rotation.Entry{At: time.Now(), Secret: "s", Step: "set", Outcome: rotation.OutcomeFailed, Detail: "refused: " + planted}))
	w.must(db.Close())
	w.step("0", "audit")
	w.step("0", "history", "s")
	w.step("2", "get", planted)
	w.step("01", "backup", w.path("data/backup.db"))
	w.gather("")
	hits, _, _ := w.scan()
	for _, want := range []string{
		"rota audit (table)", "rota audit (json)", "rota history s (table)", "rota history s (json)", "rota get " + "***", "data/rota.db-wal", "data/backup.db", "spy/child", "tmp/left",
	} {
		if !slices.ContainsFunc(hits, func(h hit) bool { return strings.HasPrefix(strings.ReplaceAll(h.where, planted, "***"), want) }) {
			t.Errorf("not found in %s", want)
		}
	}
}

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/rotation"
)

// BenchmarkStatusStart runs the program's status command, from start to end,
// on a file of 1,000 secrets that were all looked at. It reports the time and
// the largest memory of one run.
func BenchmarkStatusStart(b *testing.B) {
	dir := b.TempDir()
	program, err := testenv.Program(dir)
	if err != nil {
		b.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	db, err := store.Open(b.Context(), store.Options{Dir: state})
	if err != nil {
		b.Fatal(err)
	}
	var yaml strings.Builder
	yaml.WriteString("connections: {db: {postgres: {host: 127.0.0.1, username: admin}}}\ndefaults: {policy: {rotate_every: 90d}}\nsecrets:\n")
	now := time.Now()
	for i := range 1000 {
		name := fmt.Sprintf("bench/%04d", i)
		fmt.Fprintf(&yaml, "  - {name: %s, issuer: {connection: db, password: {role: role_%d}}}\n", name, i)
		lease, err := db.Journal().Acquire(b.Context(), rotation.AcquireRequest{Secret: name, Holder: "bench", TTL: time.Minute})
		if err != nil {
			b.Fatal(err)
		}
		status := rotation.Status{LookedAt: now, Version: rota.NewVersionID(), Credential: "role", IssuedAt: now, Next: rota.StepCreate, DueAt: now.Add(rota.Day), NextAt: now.Add(rota.Day)}
		if err := db.Journal().Save(b.Context(), rotation.SaveRequest{Lease: lease, Progress: rotation.Progress{Status: status, NextAt: status.NextAt}}); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	config := filepath.Join(dir, "rota.yaml")
	if err := os.WriteFile(config, []byte(yaml.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	var most int64
	for b.Loop() {
		cmd := exec.CommandContext(b.Context(), program, "status", "--config", config, "--data-dir", state)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			most = max(most, usage.Maxrss)
		}
	}
	b.ReportMetric(float64(most)/1024, "MiB")
}

package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
)

// generous lets one client ask as often as it can.
const generous = "access: {limits: {principal: {per_second: 1000000, burst: 1000000, open: 1000000}, address: {per_second: 1000000, burst: 1000000, open: 1000000}}}\n"

// served is a running rota serve, and an administrator's key.
type served struct {
	url string
	pid int
	key access.Issued
}

// serve runs the program until the benchmark's end. fill, if any, puts into its
// store what is to be read; database is "" for SQLite.
func serve(b *testing.B, database, text string, fill func(*store.DB)) *served {
	b.Helper()
	dir := b.TempDir()
	program, err := testenv.Program(dir)
	if err != nil {
		b.Fatal(err)
	}
	config, state := filepath.Join(dir, "rota.yaml"), filepath.Join(dir, "state")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	db, err := store.Open(b.Context(), store.Options{Dir: state, DSN: database})
	if err != nil {
		b.Fatal(err)
	}
	s := &served{}
	if s.key, err = access.NewAdministration(db.Directory(), db.Audit(), nil).Bootstrap(b.Context()); err != nil {
		b.Fatal(err)
	}
	if fill != nil {
		fill(db)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}

	cmd := exec.Command(program, "serve", "--listen", "127.0.0.1:0", "--config", config, "--data-dir", state, "--log-level", "error")
	cmd.Env = append(os.Environ(), "ROTA_DATABASE="+database)
	errors, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // ended by the signal
	})
	s.pid = cmd.Process.Pid
	var said strings.Builder
	for lines := bufio.NewScanner(errors); lines.Scan(); {
		if _, address, ok := strings.Cut(lines.Text(), "listening on "); ok {
			s.url = "http://" + address
			go func() {
				for lines.Scan() {
					b.Log(lines.Text())
				}
			}()
			return s
		}
		said.WriteString(lines.Text() + "\n")
	}
	b.Fatalf("rota serve does not listen:\n%s", said.String())
	return nil
}

// processorTime is what the process has used so far, user and system.
func (s *served) processorTime(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		b.Fatal(err)
	}
	// After the name, which is in brackets: the 12th and 13th, in hundredths of
	// a second.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var sum time.Duration
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(string(field))
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum
}

// clientsFor makes a client that keeps so many connections.
func clientsFor(b *testing.B, n int) *http.Client {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: n, MaxConnsPerHost: n, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

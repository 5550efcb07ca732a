package ssh

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

// to is a connection to servers, as their own user.
func to(t testing.TB, servers ...*testenv.SSHServer) *Connection {
	t.Helper()
	return connectWith(t, settings(servers...))
}

func settings(servers ...*testenv.SSHServer) Config {
	cfg := Config{User: servers[0].User, PrivateKey: servers[0].ClientKey, Timeout: 10 * time.Second}
	for _, s := range servers {
		cfg.Hosts = append(cfg.Hosts, s.Addr)
		cfg.KnownHosts += s.KnownHosts()
		s.LetIn(servers[0])
	}
	return cfg
}

func connectWith(t testing.TB, cfg Config) *Connection {
	t.Helper()
	c, err := New("web", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// homeDir is a folder that only this user, and root, can write to, with all those
// above it: /tmp's sticky bit is enough there.
func homeDir(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for at := dir; strings.HasPrefix(at, os.TempDir()+"/"); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// faults are the gate's words for the suites' kinds.
var faults = map[providertest.FaultKind]string{
	providertest.FailBefore: "before", providertest.LoseReply: "lose", providertest.Repeat: "repeat", providertest.Hang: "hang",
}

// injectAt has the scripts of a method go wrong, whose words are listed: each of them
// in turn. It forgets what an earlier case asked for.
func injectAt(t testing.TB, s *testenv.SSHServer, words map[string][]string) providertest.Inject {
	s.NoFault()
	asked := map[string]int{}
	return func(op string, kind providertest.FaultKind) bool {
		all := words[op]
		if len(all) == 0 {
			return false
		}
		word := all[asked[op]%len(all)]
		asked[op]++
		switch kind {
		case providertest.Hang: // the first, which is always reached
			word = all[0]
		case providertest.Repeat: // the last, which changes something
			word = all[len(all)-1]
		}
		s.Fault(t, word, faults[kind])
		return true
	}
}

// wantError checks an error's class and words, and that it names the system, is one
// line and has a remedy if somebody has to act.
func wantError(t testing.TB, err error, class rota.Class, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one of class %s", class)
	}
	if got := rota.ClassOf(err); got != class {
		t.Errorf("class %s, want %s: %v", got, class, err)
	}
	text := hint.Text(err)
	for _, word := range append(words, "ssh web: ") {
		if !strings.Contains(text, word) {
			t.Errorf("no %q in: %v", word, text)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has several lines: %q", err)
	}
	if class == rota.ClassStop && len(rota.RemediesOf(err)) == 0 {
		t.Errorf("nobody is told what to do: %v", err)
	}
}

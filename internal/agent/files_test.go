package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/internal/agent"
)

const db = "prod/orders-db"

func password(text string) map[string]string {
	return map[string]string{"username": "orders", "password": text}
}

// said is a log that may be read while it's written.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// content is a file's content; "" if there's none.
func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// begin runs an agent in a bubble until the test ends.
func begin(t *testing.T, o agent.Options) {
	t.Helper()
	a, err := agent.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, false, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestAFileFollowsItsSecretAndTheCommandRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log, dir := clienttest.NewSource(), &said{}, t.TempDir()
		source.Set(db, password("one"))
		begin(t, options(t, source, fmt.Sprintf(`state: %[1]s/state
files:
  - {path: %[1]s/a.env, secret: %[2]s, format: dotenv, command: reload}
  - {path: %[1]s/b.txt, secret: %[2]s, format: text, fields: {content: "{username}:{password}"}, command: reload}
commands: {reload: {run: [sh, -c, "echo ran >> %[1]s/reloads; cat %[1]s/a.env"]}}
`, dir, db), log))
		time.Sleep(time.Minute)
		if got := content(t, dir+"/b.txt"); got != "orders:one" {
			t.Errorf("b.txt: %q", got)
		}
		source.Set(db, password("two"))
		time.Sleep(time.Minute)
		if got := content(t, dir+"/a.env"); !strings.Contains(got, "password=two") && !strings.Contains(got, "two") {
			t.Errorf("a.env: %q", got)
		}
		if got := content(t, dir+"/b.txt"); got != "orders:two" {
			t.Errorf("b.txt: %q", got)
		}
		time.Sleep(time.Hour) // nothing changes, and nothing runs
		if got := content(t, dir+"/reloads"); got != "ran\nran\n" {
			t.Errorf("the command ran: %q", got)
		}
		if left, err := os.ReadDir(dir + "/state"); err != nil || len(left) > 0 {
			t.Errorf("state: %v, %v", left, err)
		}
		if text := log.String(); strings.Contains(text, "two") || strings.Contains(text, "password=") {
			t.Errorf("the log holds a value:\n%s", text)
		}
	})
}

func TestAFileThatSomebodyElseEditedIsPutRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log, dir := clienttest.NewSource(), &said{}, t.TempDir()
		source.Set(db, password("one"))
		path := filepath.Join(dir, "a.json")
		begin(t, options(t, source, fmt.Sprintf("files: [{path: %s, secret: %s, format: json}]\n", path, db), log))
		time.Sleep(time.Minute)
		if err := os.WriteFile(path, []byte(`{"mine": true, "password": "wrong"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		if got := content(t, path); !strings.Contains(got, `"mine"`) || !strings.Contains(got, `"one"`) || strings.Contains(got, "wrong") {
			t.Errorf("%s", got)
		}
		if !strings.Contains(log.String(), "somebody else has changed a file") {
			t.Errorf("log:\n%s", log)
		}
	})
}

func TestACommandThatFailsIsRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log, dir := clienttest.NewSource(), &said{}, t.TempDir()
		source.Set(db, password("one"))
		begin(t, options(t, source, fmt.Sprintf(`state: %[1]s/state
files: [{path: %[1]s/a.env, secret: %[2]s, format: dotenv, command: reload}]
commands: {reload: {run: [sh, -c, "cat %[1]s/a.env; echo ran >> %[1]s/reloads; test $(wc -l < %[1]s/reloads) -ge 3"]}}
`, dir, db), log))
		time.Sleep(time.Hour)
		if got := content(t, dir+"/reloads"); got != "ran\nran\nran\n" {
			t.Errorf("the command ran: %q", got)
		}
		if text := log.String(); strings.Count(text, "a command failed") != 2 || strings.Contains(text, "=one") {
			t.Errorf("log:\n%s", text)
		}
	})
}

func TestACommandIsOwedByAnAgentThatDied(t *testing.T) {
	dir := t.TempDir()
	text := fmt.Sprintf(`state: %[1]s/state
files: [{path: %[1]s/a.env, secret: %[2]s, format: dotenv, command: reload}]
commands: {reload: {run: [sh, -c, "test -e %[1]s/works && echo ran >> %[1]s/reloads"]}}
`, dir, db)
	t.Run("it dies", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := clienttest.NewSource()
			source.Set(db, password("one"))
			begin(t, options(t, source, text, &said{}))
			time.Sleep(time.Minute)
		})
	})
	if err := os.WriteFile(dir+"/works", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		source := clienttest.NewSource()
		source.Set(db, password("one"))
		begin(t, options(t, source, text, &said{}))
		time.Sleep(time.Minute)
		if got := content(t, dir+"/reloads"); got != "ran\n" {
			t.Errorf("the command ran: %q", got)
		}
	})
}

func TestACommandThatHangsIsEnded(t *testing.T) {
	source, log, dir := clienttest.NewSource(), &said{}, t.TempDir()
	source.Set(db, password("one"))
	a, err := agent.New(options(t, source, fmt.Sprintf(`files: [{path: %[1]s/a.env, secret: %[2]s, format: dotenv, command: reload}]
commands: {reload: {run: [sh, -c, "sleep 600 & wait"], timeout: 50ms}}
`, dir, db), log))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := a.Run(ctx, true, nil); err == nil || !strings.Contains(err.Error(), "it took longer than 50ms") {
		t.Errorf("%v", err)
	}
}

func TestAServerThatIsAwayIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, dir := clienttest.NewSource(), t.TempDir()
		source.Set(db, password("one"))
		source.Fail(errors.New("connection refused"))
		begin(t, options(t, source, fmt.Sprintf("files: [{path: %s/a.env, secret: %s, format: dotenv}]\n", dir, db), &said{}))
		time.Sleep(10 * time.Minute)
		if got := content(t, dir+"/a.env"); got != "" {
			t.Errorf("%q", got)
		}
		source.Fail(nil)
		time.Sleep(2 * time.Minute)
		if got := content(t, dir+"/a.env"); !strings.Contains(got, "one") {
			t.Errorf("%q", got)
		}
	})
}

package agent_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/internal/agent"
)

// exec are options that run a shell with the secret.
func execOptions(t *testing.T, source client.Source, signals chan os.Signal, script string, args ...string) agent.ExecOptions {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	return agent.ExecOptions{
		Client: func(context.Context) (*client.Client, error) {
			return client.Open(client.Options{Source: source, Logger: log, FirstWait: time.Minute})
		},
		Secrets: []string{db}, Args: append([]string{"sh", "-c", script, "sh"}, args...), Env: []string{"PATH=" + os.Getenv("PATH"), "ROTA_TOKEN=s3cret", "XDG_RUNTIME_DIR=" + t.TempDir()},
		Signals: signals, Log: log,
	}
}

// A server that accepts connections and never answers doesn't keep the program from
// being ended.
func TestASignalBeforeTheChildEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, signals, started := clienttest.NewSource(), make(chan os.Signal, 1), filepath.Join(t.TempDir(), "started")
		source.Set(db, password("one"))
		source.Delay(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- agent.Exec(ctx, execOptions(t, source, signals, `touch "$1"`, started)) }()
		time.Sleep(5 * time.Second)
		began := time.Now()
		cancel() // as whoever handles the signal for the whole program does
		signals <- syscall.SIGTERM
		err := <-ended
		if exit, ok := errors.AsType[*agent.ExitError](err); !ok || exit.Code != 143 || exit.Err != nil {
			t.Errorf("%v", err)
		}
		if after := time.Since(began); after > 15*time.Second {
			t.Errorf("it took %v", after)
		}
		if _, err := os.Stat(started); err == nil {
			t.Error("the program was started")
		}
	})
}

func TestTheChildHasWhatItIsGivenAndNothingElse(t *testing.T) {
	source, out := clienttest.NewSource(), filepath.Join(t.TempDir(), "out")
	source.Set(db, map[string]string{"username": "orders", "password": "p@ss"})
	o := execOptions(t, source, nil, `env > "$1"; cat "$CONFIG" >> "$1"; tr '\0' ' ' < /proc/$$/cmdline >> "$1"`, out)
	template := filepath.Join(t.TempDir(), "app.ini.tmpl")
	if err := os.WriteFile(template, []byte("user = {username}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Launch = agent.Launch{Env: map[string]string{"URL": "db://{username}:{password|url}@db"}, Files: map[string]string{"CONFIG": template}}
	o.Once = true
	if err := agent.Exec(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	text := content(t, out)
	for _, want := range []string{"URL=db://orders:p%40ss@db\n", "user = orders\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "s3cret") || strings.Contains(text, "ORDERS_DB") || strings.Contains(text[strings.LastIndex(text, "sh -c"):], "p%40ss") {
		t.Errorf("%s", text)
	}
	for line := range strings.Lines(text) {
		if path, ok := strings.CutPrefix(line, "CONFIG="); ok {
			if _, err := os.Stat(filepath.Dir(strings.TrimSpace(path))); err == nil {
				t.Errorf("%s is still there", path)
			}
		}
	}
}

package takeover

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rota-dev/rota/internal/cli"
	"github.com/rota-dev/rota/internal/function"
)

const clockVariable = "ROTA_TEST_CLOCK"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rota": rota, "vault": vault})
}

// rota is the shipped program, on the command line and in Lambda, except for its
// clock.
func rota() {
	now := time.Now
	if text := os.Getenv(clockVariable); text != "" {
		stopped, err := time.Parse(time.RFC3339, text)
		if err != nil {
			panic(err)
		}
		now = func() time.Time { return stopped }
	}
	if function.InLambda() {
		h, err := function.New(function.Options{Now: now, Metrics: io.Discard, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil))})
		if err != nil {
			panic(err)
		}
		lambda.Start(h.Handle)
		return
	}
	p := cli.Program{Env: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: now}
	os.Exit(p.Run(context.Background(), os.Args[1:]))
}

// world is where the commands of a road run: a folder with the files of a machine,
// and what the commands reach from there.
type world struct {
	t    *testing.T
	road *road
	dir  string
	env  map[string]string
	// here are the document's names for what has another one in this world.
	here []string
}

func newWorld(t *testing.T, r *road) *world {
	t.Helper()
	w := &world{t: t, road: r, dir: t.TempDir()}
	w.env = map[string]string{
		"HOME": w.dir, "PATH": w.file("bin") + string(os.PathListSeparator) + os.Getenv("PATH"), "TZ": "UTC", "LANG": "C.UTF-8",
		"ROTA_DATA_DIR": w.file("data"), "ROTA_ACTOR": "ann@example",
	}
	w.here = []string{"/etc/", w.file("etc") + "/"}
	w.write("bin/.keep", "")
	return w
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// write creates a file, as another tool left it.
func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.file(name)), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.file(name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(w.file(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// offer puts a program on the path.
func (w *world) offer(name, program string) {
	w.t.Helper()
	if err := os.Symlink(program, w.file("bin/"+name)); err != nil {
		w.t.Fatal(err)
	}
}

// after stops rota's clock, that long from now.
func (w *world) after(d time.Duration) { w.env[clockVariable] = time.Now().Add(d).Format(time.RFC3339) }

const day = 24 * time.Hour

// config writes the document's rota.yaml.
func (w *world) config(part string) {
	w.t.Helper()
	w.write("rota.yaml", w.local(w.road.find(w.t, "yaml", part).text))
}

func (w *world) local(text string) string { return strings.NewReplacer(w.here...).Replace(text) }

// run runs the document's commands, which must succeed, and returns what they
// print.
func (w *world) run(part string) string {
	w.t.Helper()
	return w.shell(w.local(w.road.find(w.t, "sh", part).text))
}

// shell is like run, with commands that aren't in the document: they do what the
// other tool does, or show what came of it.
func (w *world) shell(commands string) string {
	w.t.Helper()
	out, err := w.try(commands)
	if err != nil {
		w.t.Fatalf("%s\n%v\n%s", commands, err, out)
	}
	return out
}

func (w *world) try(commands string) (string, error) {
	cmd := exec.CommandContext(w.t.Context(), "bash", "-eu", "-o", "pipefail", "-c", commands)
	cmd.Dir = w.dir
	for name, value := range w.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	w.t.Logf("%s%s", commands, out)
	return string(out), err
}

// wants fails the test unless a text has these parts.
func (w *world) wants(text string, parts ...string) {
	w.t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			w.t.Errorf("there's no %q in\n%s", p, text)
		}
	}
}

// object reads a JSON object.
func object(t *testing.T, text string) map[string]any {
	t.Helper()
	fields := map[string]any{}
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return fields
}

func timeOf(days int) time.Duration { return time.Duration(days) * day }

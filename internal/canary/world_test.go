//go:build linux

package canary

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
)

// program is the real one, built once.
var program string

func TestMain(m *testing.M) { os.Exit(testenv.MainWithProgram(m, &program)) }

// world is one data folder, one rota.yaml and everything written while commands
// run.
type world struct {
	*testing.T
	*ledger
	dir     string
	secrets []string // whose values are collected after each command
	codes   map[int]int
	// tapped means that values are seen on their way from the issuer, so they needn't
	// be collected.
	tapped bool
}

// newWorld creates these folders: in, what Rota reads; targets, what it
// delivers to; spy, what its children see; tmp, its temporary folder; and data.
func newWorld(t *testing.T, l *ledger, secrets ...string) *world {
	w := &world{T: t, ledger: l, dir: t.TempDir(), secrets: secrets, codes: map[int]int{}}
	for _, name := range []string{"in", "targets", "spy", "tmp"} {
		w.must(os.Mkdir(w.path(name), 0o700))
	}
	w.file("in/spy.sh", fmt.Sprintf(spyScript, w.dir), 0o700)
	return w
}

// spyScript is reloader and notifier. It records everything it can see of
// itself and of Rota. While the file spy/fail-NAME exists it fails, after
// printing its environment, its arguments and, as careless consumers do, the
// file that they read, also as tools show and encode it.
const spyScript = `#!/bin/sh
name=$1 delivered=$2
out=%[1]s/spy/$name.$$
{ tr '\0' '\n' </proc/$$/cmdline; tr '\0' '\n' </proc/$$/environ; tr '\0' '\n' </proc/$PPID/cmdline; tr '\0' '\n' </proc/$PPID/environ; cat; } >"$out" 2>&1
if [ -e "%[1]s/in/fail-$name" ]; then
	echo "bad luck"; env; tr '\0' ' ' </proc/$$/cmdline; tr '\0' ' ' </proc/$PPID/cmdline
	[ -z "$delivered" ] || for show in cat 'base64 -w 20' 'base32 -w 76' 'fold -w 9' 'od -A x -t x1z' 'od -x' 'iconv -f UTF-8 -t UTF-16LE'; do $show <"$delivered" >&2; done
	exit 7
fi
`

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

func (w *world) file(name, content string, mode os.FileMode) string {
	w.Helper()
	w.must(os.WriteFile(w.path(name), []byte(content), mode))
	return w.path(name)
}

// fails makes a spy fail from now on, or no longer.
func (w *world) fails(name string, yes bool) {
	w.Helper()
	if yes {
		w.file("in/fail-"+name, "", 0o600)
		return
	}
	w.must(os.Remove(w.path("in", "fail-"+name)))
}

// run runs a command and returns its output and exit code, without recording
// them.
func (w *world) run(stdin string, args ...string) (stdout, stderr []byte, code int) {
	w.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = w.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.path("tmp"), "TMPDIR=" + w.path("tmp"), "ROTA_CONFIG=" + w.path("rota.yaml"),
		"ROTA_DATA_DIR=" + w.path("data"), "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + w.path("none"), "AWS_SHARED_CREDENTIALS_FILE=" + w.path("none"),
	}
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		w.Fatal(err)
	}
	code = cmd.ProcessState.ExitCode()
	w.codes[code]++
	return out.Bytes(), errs.Bytes(), code
}

// step runs a command with the most verbose log, records its output, and
// collects new values. It must exit with one of the codes.
func (w *world) step(codes string, args ...string) { w.Helper(); w.stepWith("", codes, args...) }

func (w *world) stepWith(stdin, codes string, args ...string) {
	w.Helper()
	for _, format := range []string{"table", "json"} {
		w.stepIn(format, stdin, codes, args...)
	}
}

// stepOnce runs a command that's played too often for both formats.
func (w *world) stepOnce(codes string, args ...string) {
	w.Helper()
	w.stepIn("json", "", codes, args...)
}

func (w *world) stepIn(format, stdin, codes string, args ...string) {
	w.Helper()
	out, errs, code := w.run(stdin, append(args, "--log-level", "debug", "--output", format, "--yes")...)
	w.wrote(fmt.Sprintf("rota %s (%s)", strings.Join(args, " "), format), append(append(out, '\n'), errs...))
	if !strings.Contains(codes, fmt.Sprint(code)) {
		w.Fatalf("rota %s exits with %d, want %s\n%s%s", strings.Join(args, " "), code, codes, out, errs)
	}
	w.collect(args)
}

// changing are the commands after which there can be new values.
var changing = []string{"rotate", "run", "rollback", "adopt"}

// collect records the secrets' values after a command.
func (w *world) collect(args []string) {
	w.Helper()
	if w.tapped || !slices.Contains(changing, args[0]) {
		return
	}
	for _, name := range w.secrets {
		if args[0] != "run" && !slices.Contains(args, name) {
			continue
		}
		for _, fields := range w.stored(name) {
			w.holds(name, fields)
		}
	}
}

// holds records the values among the fields of a version.
func (w *world) holds(name string, fields map[string]string) {
	for _, field := range []string{rota.FieldPassword, rota.FieldSecretAccessKey, "token", "key"} {
		w.secret("a value of "+name, fields[field])
	}
	// Of a private key, the lines in the middle are what nobody may see.
	if lines := strings.Split(fields["private_key"], "\n"); len(lines) > 4 {
		w.secret("a value of "+name, lines[3])
	}
}

// stored reads a secret's values in Rota's own store, which takes a hundredth of the
// time that rota get does.
func (w *world) stored(name string) (values []map[string]string) {
	w.Helper()
	db, err := store.Open(w.Context(), store.Options{Dir: w.path("data")})
	w.must(err)
	defer func() { w.must(db.Close()) }()
	contents, err := db.Secret(name).Describe(w.Context())
	w.must(err)
	for _, version := range contents.Versions {
		c, err := db.Secret(name).Get(w.Context(), rota.GetRequest{Version: version.ID})
		if errors.Is(err, rota.ErrNotFound) {
			continue // it has no value yet
		}
		w.must(err)
		values = append(values, c.Fields())
	}
	return values
}

// get records what rota get shows of a secret.
func (w *world) get(name string) {
	w.Helper()
	for _, label := range []rota.Label{rota.LabelCurrent, rota.LabelPending, rota.LabelPrevious} {
		out, errs, code := w.run("", "get", name, "--version-label", string(label), "--log-level", "debug")
		w.wrote("stderr of rota get "+name, errs)
		if code != 0 {
			w.wrote("rota get "+name, out)
			continue
		}
		w.shown = append(w.shown, output{name: "rota get " + name, content: out})
		var fields map[string]string
		w.must(json.Unmarshal(out, &fields))
		w.holds(name, fields)
	}
}

// gather records the contents of folders: Rota's data, its temporary files and
// what its children saw. A value is meant for those children whose environment
// the configuration adds it to.
func (w *world) gather(meant string) {
	w.Helper()
	for _, folder := range []string{"data", "tmp", "spy"} {
		files := 0
		w.must(filepath.WalkDir(w.path(folder), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			o := output{name: folder + "/" + e.Name(), content: content}
			if folder == "spy" {
				o.meant = meant
			}
			w.outputs = append(w.outputs, o)
			files++
			return nil
		}))
		if files == 0 && folder != "tmp" {
			w.Errorf("there is nothing in %s to look through", folder)
		}
	}
}

// everyCommand runs all read-only commands.
func (w *world) everyCommand() {
	w.Helper()
	for _, args := range [][]string{
		{"validate"}, {"check"}, {"plan"}, {"plan", "--for", "400d"}, {"status"}, {"audit", "--limit", "1000"}, {"audit", "--verify"},
		{"key", "rotate"}, {"schema"}, {"get", "nobody"},
	} {
		w.step("0123", args...)
	}
	for _, name := range w.secrets {
		w.step("0123", "history", name)
		w.step("0123", "versions", name)
		w.step("0123", "get", name, "--field", "none")
		w.step("0123", "get", name, "--version", "none")
		w.get(name)
	}
}

// keepOpen keeps the store open to the end, so that its write-ahead log stays.
func (w *world) keepOpen() {
	w.Helper()
	db, err := store.Open(w.Context(), store.Options{Dir: w.path("data")})
	w.must(err)
	w.Cleanup(func() { w.must(db.Close()) })
}

// brokenConfigurations tries invalid versions of rota.yaml, next to a plaintext
// password.
func (w *world) brokenConfigurations(password string) {
	w.Helper()
	for name, text := range map[string]string{
		"clear":     "connections: {db: {postgres: {host: 127.0.0.1, port: 1, username: a, password: '%s'}}}\nsecrets: [{name: a, issuer: {connection: db, password: {role: a}}}]\n",
		"unknown":   "connections: {db: {postgres: {host: 127.0.0.1, username: a, pasword: '%s'}}}\nsecrets: []\n",
		"list":      "connections: {db: {postgres: {host: 127.0.0.1, username: a, password: ['%s']}}}\nsecrets: []\n",
		"mapping":   "connections: {db: {postgres: {host: 127.0.0.1, username: a, password: {'%s': x}}}}\nsecrets: []\n",
		"reference": "connections: {db: {postgres: {host: 127.0.0.1, username: a, password: '${file:/none}%s'}}}\nsecrets: [{name: a, issuer: {connection: db, password: {role: a}}}]\n",
		"torn":      "connections: {db: {postgres: {host: 127.0.0.1, username: a, password: '%s\n",
		"twice":     "connections: {db: {postgres: {host: 127.0.0.1, username: a, password: '%[1]s', password: '%[1]s'}}}\nsecrets: []\n",
		"tagged":    "connections: {db: {postgres: {host: 127.0.0.1, username: a, password: !!int '%s'}}}\nsecrets: []\n",
	} {
		path := w.file("in/"+name+".yaml", fmt.Sprintf(text, password), 0o600)
		for _, command := range []string{"validate", "check", "plan", "run"} {
			w.step("0123", command, "--config", path)
		}
	}
}

// looksAsIfItWorked reports whether there was enough to search.
func (w *world) looksAsIfItWorked(log []byte) {
	w.Helper()
	for _, want := range []string{"ALTER ROLE", "SCRAM-SHA-256$", "permission denied"} {
		if !bytes.Contains(log, []byte(want)) {
			w.Errorf("PostgreSQL's log has no %q", want)
		}
	}
	for _, code := range []int{0, 1, 2, 3} {
		if w.codes[code] == 0 {
			w.Errorf("no command ended with %d", code)
		}
	}
}

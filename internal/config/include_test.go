package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/testenv"
)

// extract writes an archive's files to a new folder.
func extract(t *testing.T, archive string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const teams = `
-- rota.yaml --
include: [teams/*.yaml, shared.yaml]
defaults: {policy: {rotate_every: 30d}}
secrets:
  - {name: own, issuer: {manual: {what: a}}}
-- shared.yaml --
connections:
  db: {postgres: {host: db.internal, username: rota, password: "${file:db.pw}"}}
-- teams/b.yaml --
secrets:
  - {name: b, issuer: {connection: db, password: {role: b}}, policy: {apart_from: [{secret: a/1, by: 1h}]}}
-- teams/a.yaml --
include: [a/*.yaml]
-- teams/a/one.yaml --
secrets:
  - {name: a/1, issuer: {connection: team-db, password: {role: a}}}
connections:
  team-db: {postgres: {host: a.internal, username: rota, password: "${file:db.pw}"}}
-- teams/.hidden.yaml --
not: read
-- db.pw --
shared-password
-- teams/a/db.pw --
team-password
`

func TestAConfigurationIncludesOthers(t *testing.T) {
	dir := extract(t, teams)
	f, err := builtin.Load(t.Context(), filepath.Join(dir, "rota.yaml"))
	if err != nil {
		t.Fatal(hint.Text(err))
	}
	if diff := cmp.Diff([]string{"own", "a/1", "b"}, f.Names()); diff != "" {
		t.Error(diff)
	}
	files := f.Files()
	for i := range files {
		files[i], _ = filepath.Rel(dir, files[i])
	}
	if diff := cmp.Diff([]string{"rota.yaml", "teams/a.yaml", "teams/a/one.yaml", "teams/b.yaml", "shared.yaml"}, files); diff != "" {
		t.Error(diff)
	}
	if every := f.Policy("a/1").RotateEvery; every.Hours() != 720 {
		t.Errorf("the defaults do not count in an included file: %s", every)
	}
	prints, err := f.Fingerprints()
	if err != nil || len(prints) != 3 || prints["a/1"] == prints["b"] {
		t.Errorf("%v, %v", prints, err)
	}
	if got := f.Written("team-db")["host"]; got != "a.internal" {
		t.Errorf("the connection's host is %q", got)
	}
	// Each ${file:…} starts at the folder of its own file.
	read := map[string]bool{}
	env := Environment{ReadFile: func(path string) ([]byte, os.FileMode, error) {
		read[strings.TrimPrefix(path, dir+"/")] = true
		data, err := os.ReadFile(path)
		return data, 0o600, err
	}}
	if _, err := f.Values(env, nil); err != nil || !read["db.pw"] || !read["teams/a/db.pw"] {
		t.Errorf("%v: read %v", err, read)
	}
}

func TestChangesInEveryIncludedFileAreNoticed(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"the file itself": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "rota.yaml"), []byte("secrets: []"), 0o600)
		},
		"an included one": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "teams/b.yaml"), []byte("secrets: []"), 0o600)
		},
		"one that is added": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "teams/c.yaml"), []byte("secrets: []"), 0o600)
		},
		"one that is gone": func(dir string) error { return os.Remove(filepath.Join(dir, "teams/b.yaml")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := extract(t, teams)
			f, err := builtin.Load(t.Context(), filepath.Join(dir, "rota.yaml"))
			if err != nil {
				t.Fatal(hint.Text(err))
			}
			before := f.Sum()
			if !f.Unchanged() {
				t.Error("it is changed already")
			}
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
			if f.Unchanged() {
				t.Error("the change is not noticed")
			}
			if f, err = builtin.Load(t.Context(), filepath.Join(dir, "rota.yaml")); err != nil || f.Sum() == before {
				t.Errorf("its sum is the same: %v", err)
			}
		})
	}
}

func TestMistakesInIncludedFilesNameTheRightFile(t *testing.T) {
	const own = "secrets: [{name: own, issuer: {manual: {what: a}}}]\n"
	for _, test := range []struct{ name, files, want string }{
		{"a key", "-- rota.yaml --\ninclude: [a.yaml]\n-- a.yaml --\n\nsecrets:\n  - {nam: a, issuer: {manual: {what: a}}}\n",
			`DIR/a.yaml:3:5: secrets[0]: name is missing` + "\n" + `DIR/a.yaml:3:6: secrets[0]: unknown key "nam" (did you mean "name"?)`},
		{"the syntax", "-- rota.yaml --\ninclude: [a.yaml]\n-- a.yaml --\nsecrets:\n  - [\n",
			"DIR/a.yaml:3:1: not YAML: "},
		{"a secret twice", "-- rota.yaml --\ninclude: [a.yaml]\n" + own + "-- a.yaml --\n\n" + own,
			"DIR/a.yaml:2:18: secrets[own]: the name is already at DIR/rota.yaml:2"},
		{"a connection twice", "-- rota.yaml --\ninclude: [a.yaml, b.yaml]\n-- a.yaml --\nconnections: {x: {aws: {}}}\n-- b.yaml --\nconnections:\n  x: {aws: {}}\n",
			`DIR/b.yaml:2:3: connections: connection "x" is already at DIR/a.yaml:1 (try: one of the two, which all files can use, or another name)`},
		{"a role twice", "-- rota.yaml --\ninclude: [a.yaml]\nconnections: {db: {postgres: {host: h, username: u, password: \"${env:X}\"}}}\nsecrets: [{name: one, issuer: {connection: db, password: {role: r}}}]\n-- a.yaml --\nsecrets: [{name: two, issuer: {connection: db, password: {role: r}}}]\n",
			`secret "one" at DIR/rota.yaml:3`},
		{"what is for all", "-- rota.yaml --\ninclude: [a.yaml]\n-- a.yaml --\nserver: {listen: \":1\"}\n" + own,
			"DIR/a.yaml:1:1: server: an included file can't have this (try: move it to rota.yaml; it's for all files)"},
		{"itself", "-- rota.yaml --\ninclude: [\"*.yaml\"]\n",
			`DIR/rota.yaml:1:11: include: DIR/rota.yaml includes itself`},
		{"a circle", "-- rota.yaml --\ninclude: [a.yaml]\n-- a.yaml --\ninclude: [b.yaml]\n-- b.yaml --\n" + own + "include: [a.yaml]\n",
			"DIR/b.yaml:2:11: include: DIR/a.yaml includes this file in turn"},
		{"a file that is not there", "-- rota.yaml --\n" + own + "include:\n  - a.yaml\n",
			"DIR/rota.yaml:3:5: include: DIR/a.yaml can't be read: no such file or directory (try: correct the path: a relative one starts at the folder of the file that includes)"},
		{"a folder", "-- rota.yaml --\ninclude: [teams]\n-- teams/a.yaml --\n" + own,
			"DIR/rota.yaml:1:11: include: DIR/teams can't be read: it is a folder"},
		{"no pattern", "-- rota.yaml --\ninclude: [\"[\"]\n" + own, `DIR/rota.yaml:1:11: include: "[" is not a pattern`},
		{"an empty file", "-- rota.yaml --\ninclude: [a.yaml]\n-- a.yaml --\n", "DIR/a.yaml:1:1: the file is empty"},
		{"nothing at all", "-- rota.yaml --\nconnections: {}\n", "DIR/rota.yaml:1:1: the file: secrets is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := extract(t, test.files)
			_, err := builtin.Load(t.Context(), filepath.Join(dir, "rota.yaml"))
			if err == nil {
				t.Fatal("taken")
			}
			if got := strings.ReplaceAll(hint.Text(err), dir, "DIR"); !strings.Contains(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestAPatternWithoutFilesIsAWarning(t *testing.T) {
	dir := extract(t, "-- rota.yaml --\ninclude: [team/*.yaml]\nsecrets: []\n-- teams/a.yaml --\nsecrets: []\n")
	f, err := builtin.Load(t.Context(), filepath.Join(dir, "rota.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if w := f.Warnings(); !slices.ContainsFunc(w, func(p Problem) bool {
		return strings.Contains(p.Error(), `rota.yaml:1:11: include: no file matches "team/*.yaml"`)
	}) {
		t.Errorf("warnings: %v", w)
	}
}

func TestAFileThatSeveralIncludeIsReadOnce(t *testing.T) {
	dir := extract(t, "-- rota.yaml --\ninclude: [a.yaml, b.yaml, \"?.yaml\"]\n-- a.yaml --\ninclude: [c.yaml]\n-- b.yaml --\ninclude: [./c.yaml]\n-- c.yaml --\nsecrets: [{name: c, issuer: {manual: {what: a}}}]\n")
	if f, err := builtin.Load(t.Context(), filepath.Join(dir, "rota.yaml")); err != nil || len(f.Names()) != 1 {
		t.Errorf("%v", err)
	}
}

func TestAPipeIsNotIncluded(t *testing.T) {
	dir := extract(t, "-- rota.yaml --\ninclude: [pipe.yaml]\n")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o600); err != nil {
		testenv.Missing(t, "a named pipe", err.Error())
	}
	if _, err := builtin.Load(t.Context(), filepath.Join(dir, "rota.yaml")); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("%v", err)
	}
}

func TestNoTargetWritesToAnIncludedFile(t *testing.T) {
	dir := extract(t, "-- rota.yaml --\ninclude: [a.yaml]\n-- a.yaml --\n")
	path := filepath.Join(dir, "a.yaml")
	text := "secrets: [{name: a, issuer: {manual: {what: a}}}]\nconnections: {aws: {aws: {}}}\n"
	text = strings.Replace(text, "{manual: {what: a}}", "{connection: aws, iam_access_key: {user: a}}, targets: [{name: t, file: {path: "+path+", format: json}}]", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := builtin.Load(t.Context(), filepath.Join(dir, "rota.yaml")); err == nil || !strings.Contains(err.Error(), "the configuration itself") {
		t.Errorf("%v", err)
	}
}

func TestUnresolvedReferencesAreNamedBySecret(t *testing.T) {
	dir := extract(t, teams)
	if err := os.Remove(filepath.Join(dir, "teams/a/db.pw")); err != nil {
		t.Fatal(err)
	}
	f, err := builtin.Load(t.Context(), filepath.Join(dir, "rota.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got := f.Unresolved(Environment{})
	if len(got) != 1 || !strings.Contains(got["a/1"].Error(), "one.yaml:4:") {
		t.Errorf("%v", got)
	}
}

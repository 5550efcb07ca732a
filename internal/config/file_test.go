package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/hint"
)

func TestASecretWrittenIntoTheFileIsWarnedOf(t *testing.T) {
	f, err := builtin.Parse("rota.yaml", []byte(`
connections:
  a: {aws: {access_key_id: AKIA1, secret_access_key: hunter2}}
  b: {postgres: {host: h, username: u, password: hunter2}}
  c: {postgres: {host: h, username: u, password: "${env:X}"}}
secrets: []
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range f.Warnings() {
		got = append(got, hint.Add(w.Error(), w.Remedies))
	}
	want := []string{
		"rota.yaml:3:54: connections.a.aws.secret_access_key: a secret's value stands in the file itself (try: ${env:NAME} or ${file:/path})",
		"rota.yaml:4:50: connections.b.postgres.password: a secret's value stands in the file itself (try: ${env:NAME} or ${file:/path})",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Of a whole secret that stands in the file, only what's secret deserves a warning.
func TestNoWarningForWhatAnybodyMayKnow(t *testing.T) {
	f, err := builtin.Parse("rota.yaml", []byte(`connections:
  f: {rotation_function: {url: "http://127.0.0.1:9000/", listen: "127.0.0.1:9001", access_key_id: ROTAFUNCTION00000000, secret_access_key: "${env:X}"}}
secrets:
  - name: s
    issuer:
      connection: f
      function_credential: {name: s, secrets: {admin: {engine: postgres, host: h, port: "5432", dbname: d, username: u, password: hunter2, token: hunter3}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range f.Warnings() {
		got = append(got, w.Path[len(w.Path)-1])
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"password", "token"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestADocumentNeverPrintsItsTexts(t *testing.T) {
	f, err := builtin.Parse("rota.yaml", []byte("connections: {b: {postgres: {host: h, username: u, password: hunter2}}}\nsecrets: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	password := f.text("b", "password")
	asJSON, err := json.Marshal(f.Document.Connections["b"].Kind.Config())
	if err != nil {
		t.Fatal(err)
	}
	type holder struct{ t Text }
	if got := fmt.Sprintf("%+v %#v", holder{password}, holder{password}); strings.Contains(got, "hunter2") {
		t.Errorf("printed by reflection as %s", got)
	}
	for _, got := range []string{
		fmt.Sprint(password), fmt.Sprintf("%q %s %v %+v %#v %x", password, password, password, password, password, password),
		fmt.Sprintf("%+v", f.Document.Connections["b"].Kind.Config()), fmt.Sprintf("%#v", f.Document.Connections["b"].Kind.Config()), string(asJSON),
	} {
		if strings.Contains(got, "hunter2") || strings.Contains(got, "68756e746572") || !strings.Contains(got, "redacted") {
			t.Errorf("printed as %s", got)
		}
	}
}

func TestAMissingFileSaysHowToMakeOne(t *testing.T) {
	_, err := builtin.Load(t.Context(), filepath.Join(t.TempDir(), "rota.yaml"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(hint.Text(err), "(try: rota init)") {
		t.Errorf("error %v", err)
	}
}

func TestATooLargeFileIsRefusedUnread(t *testing.T) {
	data := []byte("secrets: []\n" + strings.Repeat("# padding\n", maxSize/10))
	_, err := builtin.Parse("rota.yaml", data)
	if err == nil || !strings.HasPrefix(err.Error(), "rota.yaml:1:1: the file is larger than 16 MiB") {
		t.Errorf("error %v", err)
	}
}

func TestTheStarterHasNoWarnings(t *testing.T) {
	f, err := builtin.Parse("rota.yaml", []byte(Starter()))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Warnings()) != 0 || len(f.Names()) != 2 {
		t.Errorf("warnings %v, names %v", f.Warnings(), f.Names())
	}
}

// Which targets of two secrets can share a file.
func TestTargetsMayShareAFile(t *testing.T) {
	for name, c := range map[string]struct {
		first, second string
		good          bool
	}{
		"with other profiles":        {"format: aws_credentials, profile: a", "format: aws_credentials, profile: b", true},
		"with the same profile":      {"format: aws_credentials", "format: aws_credentials", false},
		"with other fields":          {"format: dotenv, fields: {A: access_key_id}", "format: dotenv, fields: {B: access_key_id}", true},
		"with a field in common":     {"format: dotenv, fields: {A: access_key_id}", "format: dotenv, fields: {A: access_key_id}", false},
		"with all fields of one":     {"format: json", "format: json, fields: {B: access_key_id}", false},
		"not in another format":      {"format: json, fields: {A: access_key_id}", "format: dotenv, fields: {B: access_key_id}", false},
		"with other fields, in JSON": {"format: json, fields: {A: access_key_id}", "format: json, fields: {B: access_key_id}", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := builtin.Parse("rota.yaml", fmt.Appendf(nil, `
connections: {a: {aws: {}}}
secrets:
  - {name: x, issuer: {connection: a, iam_access_key: {user: x}}, targets: [{name: f, file: {path: /f, %s}}]}
  - {name: y, issuer: {connection: a, iam_access_key: {user: y}}, targets: [{name: f, file: {path: /f, %s}}]}
`, c.first, c.second))
			if (err == nil) != c.good {
				t.Errorf("error %v", err)
			}
		})
	}
}

package config

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestFingerprintsChangeWithWhatConcernsTheSecret(t *testing.T) {
	const text = `
connections:
  a: {aws: {region: eu-central-1}}
  b: {aws: {region: us-east-1}}
defaults: {policy: {rotate_every: 90d}}
secrets:
  - {name: x, issuer: {connection: a, iam_access_key: {user: x}}}
  - name: y
    issuer: {connection: b, iam_access_key: {user: y}}
    policy: {rotate_every: 30d}
`
	of := func(text string) map[string]string {
		t.Helper()
		f, err := builtin.Parse("rota.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		prints, err := f.Fingerprints()
		if err != nil {
			t.Fatal(err)
		}
		return prints
	}
	before := of(text)
	if len(before) != 2 || before["x"] == "" || before["x"] == before["y"] {
		t.Fatalf("fingerprints %v", before)
	}
	for name, c := range map[string]struct {
		old, new string
		x, y     bool // changed
	}{
		"nothing":                 {"", "", false, false},
		"a comment":               {"connections:", "# about them\nconnections:", false, false},
		"a secret's own policy":   {"30d", "31d", false, true},
		"the defaults":            {"90d", "91d", true, true},
		"a connection":            {"eu-central-1", "eu-west-1", true, false},
		"another secret is added": {"secrets:", "secrets:\n  - {name: z, issuer: {connection: a, iam_access_key: {user: z}}}", false, false},
		"its issuer":              {"{name: x, issuer: {connection: a, iam_access_key: {user: x}}}", "{issuer: {connection: a, iam_access_key: {user: w}}, name: x}", true, false},
	} {
		after := of(strings.Replace(text, c.old, c.new, 1))
		if got := before["x"] != after["x"]; got != c.x {
			t.Errorf("%s: x changed is %t", name, got)
		}
		if got := before["y"] != after["y"]; got != c.y {
			t.Errorf("%s: y changed is %t", name, got)
		}
	}
}

func TestValuesChangeWithWhatReferencesStandFor(t *testing.T) {
	f, err := builtin.Parse("rota.yaml", []byte(`
connections:
  a: {postgres: {host: db, username: rota, password: "${file:/run/a}"}}
  b: {postgres: {host: db, username: admin, password: "${secret:admin#password}"}}
  c: {postgres: {host: "${env:HOST}", username: rota, password: "${file:/run/a}"}}
secrets:
  - {name: admin, issuer: {connection: a, password: {role: admin}}}
  - {name: app, issuer: {connection: b, password: {role: app}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	type world struct{ file, host, version string }
	of := func(w world) string {
		t.Helper()
		values, err := f.Values(Environment{
			LookupEnv: func(string) (string, bool) { return w.host, w.host != "" },
			ReadFile:  func(string) ([]byte, fs.FileMode, error) { return []byte(w.file), 0o600, nil },
		}, func(string) (string, error) { return w.version, nil })
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	before := world{"old", "db1", "v1"}
	for name, c := range map[string]struct {
		after world
		same  bool
	}{
		"nothing":                 {before, true},
		"a file's content":        {world{"new", "db1", "v1"}, false},
		"a variable":              {world{"old", "db2", "v1"}, false},
		"a variable that is gone": {world{"old", "", "v1"}, false},
		"a secret's version":      {world{"old", "db1", "v2"}, false},
	} {
		if same := of(before) == of(c.after); same != c.same {
			t.Errorf("%s: the same is %t", name, same)
		}
	}
	failed := errors.New("the store does not answer")
	if _, err := f.Values(Environment{}, func(string) (string, error) { return "", failed }); !errors.Is(err, failed) {
		t.Errorf("without the store: %v", err)
	}
}

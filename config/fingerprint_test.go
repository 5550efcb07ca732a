package config

import (
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
		f, err := Parse("rota.yaml", []byte(text))
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

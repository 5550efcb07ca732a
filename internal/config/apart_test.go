package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/rotation"
)

// TestOneOfAPairIsEnough checks that if one of two secrets names the other,
// both keep apart, and both count as changed.
func TestOneOfAPairIsEnough(t *testing.T) {
	read := func(policy string) (*File, map[string]string) {
		t.Helper()
		f, err := builtin.Parse("rota.yaml", []byte(`connections:
  db: {postgres: {host: h, database: d, username: u, password: "${env:P}"}}
secrets:
  - {name: a, issuer: {connection: db, password: {role: a}}, policy: {rotate_every: 30d`+policy+`}}
  - {name: b, issuer: {connection: db, password: {role: b}}, policy: {rotate_every: 30d}}
  - {name: c, issuer: {connection: db, password: {role: c}}, policy: {rotate_every: 30d}}
`))
		if err != nil {
			t.Fatal(err)
		}
		prints, err := f.Fingerprints()
		if err != nil {
			t.Fatal(err)
		}
		return f, prints
	}
	_, before := read("")
	f, after := read(", apart_from: [{secret: b, by: 1h}]")
	for name, want := range map[string][]rotation.Apart{"a": {{Secret: "b", By: time.Hour}}, "b": {{Secret: "a", By: time.Hour}}, "c": nil} {
		if diff := cmp.Diff(want, f.Policy(name).ApartFrom); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if changed := before[name] != after[name]; changed != (want != nil) {
			t.Errorf("%s: changed: %t", name, changed)
		}
	}
}

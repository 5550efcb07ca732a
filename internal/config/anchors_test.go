package config

import (
	"strings"
	"testing"
)

// Which host a reference names is only known once it's resolved.
func TestAnchorsHaveNamesOfTheirOwn(t *testing.T) {
	for heads, want := range map[string]string{"https://others.example.org/": "", "https://heads.example.org/b?key=x": "two of them are called webhook heads.example.org"} {
		f, err := builtin.Parse("rota.yaml", []byte(`
connections: {db: {postgres: {host: db.internal, username: rota, password: "${file:x}"}}}
server: {audit: {anchors: [{webhook: {url: "https://heads.example.org/a"}}, {webhook: {url: "${env:HEADS}"}}]}}
secrets: [{name: x, issuer: {connection: db, password: {role: x}}}]
`))
		if err != nil {
			t.Fatal(err)
		}
		places, err := f.Anchors(t.Context(), Environment{LookupEnv: func(string) (string, bool) { return heads, true }})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d places, %v; want %q", heads, len(places), err, want)
		}
	}
}

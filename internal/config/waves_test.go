package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWavesRespectWhatConnectionsLogInWith(t *testing.T) {
	f, err := builtin.Parse("rota.yaml", []byte(`
connections:
  root: {postgres: {host: db, username: rota}}
  admin: {postgres: {host: db, username: admin, password: "${secret:admin#password}"}}
  app: {postgres: {host: db2, username: app, password: "${secret:app#password}"}}
  mail: {smtp: {host: m, from: r@example.org, to: [o@example.org], username: u, password: "${secret:app#password}"}}
defaults: {notify: [mail]}
secrets:
  - {name: leaf, issuer: {connection: app, password: {role: leaf}}}
  - {name: app, issuer: {connection: admin, password: {role: app}}}
  - {name: admin, issuer: {connection: root, password: {role: admin}}}
  - {name: other, issuer: {connection: root, password: {role: other}}}
`))
	if err != nil {
		t.Fatal(err) // app's notifier can log in with app
	}
	for name, c := range map[string]struct {
		names []string
		want  [][]string
	}{
		"all":                {[]string{"leaf", "app", "admin", "other"}, [][]string{{"admin", "other"}, {"app"}, {"leaf"}}},
		"without the middle": {[]string{"leaf", "admin"}, [][]string{{"admin"}, {"leaf"}}},
		"one":                {[]string{"leaf"}, [][]string{{"leaf"}}},
		"none":               {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, f.Waves(c.names)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

//go:build unix

package controller_test

import (
	"strings"
	"testing"
)

// The API server itself is asked what it takes: a schema that it can't enforce would
// be found out only by users.
func TestTheAPIServerTakesWhatRotaTakes(t *testing.T) {
	s := cluster(t)
	ns := s.Namespace(t)
	good := `
issuer: {connection: db, alternating: {roles: [orders_a, orders_b], group: orders}}
test: [{query: "SELECT 1"}]
targets:
  - name: app
    kubernetes_secret: {connection: here, namespace: shop, secret: orders, fields: {url: "postgres://{username}:{password|url}@db/orders"}}
reload: [{name: app, kubernetes_restart: {connection: here, namespace: shop, secret: orders}}]
notify: [slack, {connection: mail, events: [failed]}]
policy: {rotate_every: 30d, max_attempts: 5, window: {cron: "0 2 * * SUN", for: 4h}, blackouts: [{from: "2026-12-20", until: "2026-12-27"}]}
`
	for _, c := range []struct{ name, kind, spec, want string }{
		{"a whole secret", "RotatingSecret", good, ""},
		{"a connection", "Connection", "postgres: {host: db, database: orders, username: rota, password: \"${kubernetes:db#password}\"}\n", ""},
		{"a shared connection", "ClusterConnection", "kubernetes: {in_cluster: true}\nnamespaces: [shop]\nnamespaceSelector: {matchLabels: {rota: \"yes\"}}\n", ""},
		{"no issuer", "RotatingSecret", "owner: shop\n", "spec.issuer: Required value"},
		{"two issuers", "RotatingSecret", "issuer: {manual: {what: a key}, secret_key: {}}\n", "needs exactly one of"},
		{"a target without a kind", "RotatingSecret", "issuer: {secret_key: {}}\ntargets: [{name: app}]\n", "needs exactly one of"},
		{"a target without a name", "RotatingSecret", "issuer: {secret_key: {}}\ntargets: [{file: {path: /x, format: json}}]\n", "spec.targets[0].name: Required value"},
		{"a misspelled key", "RotatingSecret", "issuer: {secret_key: {}}\npolicy: {rotate_evry: 30d}\n", `unknown field "spec.policy.rotate_evry"`},
		{"a number for a duration", "RotatingSecret", "issuer: {secret_key: {}}\npolicy: {rotate_every: 30}\n", "must be of type string"},
		{"a duration without a unit", "RotatingSecret", "issuer: {secret_key: {}}\npolicy: {rotate_every: \"30\"}\n", "spec.policy.rotate_every"},
		{"a number out of range", "RotatingSecret", "issuer: {secret_key: {}}\npolicy: {max_attempts: 0}\n", "greater than or equal to 1"},
		{"a word that isn't known", "RotatingSecret", "issuer: {secret_key: {}}\npolicy: {drift_check: never}\n", `supported values: "login", "passive"`},
		{"two connections in one", "Connection", "kubernetes: {in_cluster: true}\nvault: {address: \"https://v\"}\n", "needs exactly one of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, meta := nsAPI+ns+"/"+strings.ToLower(c.kind)+"s", "{name: x}"
			if c.kind == "ClusterConnection" {
				path = apis + "/clusterconnections"
			}
			err := s.Try(t.Context(), "POST", path+"?fieldValidation=Strict&dryRun=All",
				"apiVersion: rota.dev/v1alpha1\nkind: "+c.kind+"\nmetadata: "+meta+"\nspec:\n"+indent(c.spec), nil)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `\"`, `"`), c.want)):
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

package proposal

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/providers"
)

var builtin = config.MustCatalog(providers.List()...)

func TestProposalTakesConnectionsOverWithoutTheirSecrets(t *testing.T) {
	from, err := builtin.Parse("rota.yaml", []byte(`
connections:
  main:
    aws: {region: eu-central-1, role_arn: "arn:aws:iam::111122223333:role/rota", external_id: "7", access_key_id: "${env:ID}", secret_access_key: plain-text-secret, session_token: "${file:/run/token}"}
  ref:
    aws: {region: eu-central-1, access_key_id: "${env:ID}", secret_access_key: "${env:SECRET}"}
  db: {postgres: {host: db, port: 5432, username: rota}}
secrets:
  - {name: one, issuer: {manual: {what: a licence}}, policy: {rotate_every: 90d}}
`))
	if err != nil {
		t.Fatal(err)
	}
	p := Proposal{
		Catalog: builtin,
		Head:    []string{"Two\nlines"}, From: from, Connections: []Connection{{Name: "main"}, {Name: "ref"}, {Name: "new", Region: "eu-west-1", RoleARN: "arn:aws:iam::444455556666:role/a"}},
		Secrets: []Secret{
			{Name: "main/a", Connection: "main", User: "a", Comment: []string{"made\x1b[31m 2026\u2028x: y"}},
			{Name: "b", Connection: "new", User: "1", Entry: "prod/b", IDField: "the id", SecretField: "key: secret"},
		},
	}
	text, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	want := `# Two lines
connections:
  main: {aws: {region: eu-central-1, role_arn: 'arn:aws:iam::111122223333:role/rota', external_id: "7"}}
  ref: {aws: {region: eu-central-1, access_key_id: '${env:ID}', secret_access_key: '${env:SECRET}'}}
  new: {aws: {region: eu-west-1, role_arn: 'arn:aws:iam::444455556666:role/a'}}
defaults:
  policy: {rotate_every: 90d, deactivate_previous_after: 10d, delete_previous_after: 20d}
secrets:
  # made [31m 2026 x: y
  - name: main/a
    issuer: {connection: main, iam_access_key: {user: a}}
  - name: b
    issuer: {connection: new, iam_access_key: {user: "1"}}
    store: {connection: new, secrets_manager: {name: prod/b, fields: {the id: access_key_id, 'key: secret': secret_access_key}}}
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestProposalThatWouldBeNoGoodFileIsAnError(t *testing.T) {
	_, err := Proposal{Catalog: builtin, Secrets: []Secret{{Name: "a", Connection: "nowhere", User: "a"}}}.YAML()
	if err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
}

package proposal

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/provider"
)

var builtin = config.MustCatalog(providers.List()...)

func TestProposalIsWrittenAsRotaTakesIt(t *testing.T) {
	key := func(key string, value any) provider.ProposedKey { return provider.ProposedKey{Key: key, Value: value} }
	keys := func(k ...provider.ProposedKey) []provider.ProposedKey { return k }
	text, err := YAML(builtin, "aws", provider.Proposal{
		Connections: []provider.ProposedConnection{
			{Name: "main", Keys: keys(key("region", "eu-central-1"), key("external_id", "7"), key("role_arn", "arn:aws:iam::111122223333:role/rota"))},
			{Name: "new", Keys: keys(key("region", "eu-west-1"), key("access_key_id", "${env:ID}"), key("secret_access_key", "${env:SECRET}"))},
		},
		Policy: keys(key("rotate_every", "90d"), key("deactivate_previous_after", "10d"), key("delete_previous_after", "20d")),
		Secrets: []provider.ProposedSecret{
			{
				Name: "main/a", Comment: []string{"made\x1b[31m 2026\u2028x: y"},
				Issuer: provider.ProposedPart{Connection: "main", Kind: "iam_access_key", Keys: keys(key("user", "a"))},
			},
			{
				Name:   "b",
				Issuer: provider.ProposedPart{Connection: "new", Kind: "iam_access_key", Keys: keys(key("user", "1"))},
				Store: provider.ProposedPart{Connection: "new", Kind: "secrets_manager", Keys: keys(key("name", "prod/b"),
					key("fields", keys(key("the id", "access_key_id"), key("key: secret", "secret_access_key"))))},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `# Proposed by rota discover aws. Review it, then run rota validate, rota check,
# and rota adopt NAME for each secret, as its comment says. Nothing is rotated before that.
connections:
  main: {aws: {region: eu-central-1, external_id: "7", role_arn: 'arn:aws:iam::111122223333:role/rota'}}
  new: {aws: {region: eu-west-1, access_key_id: '${env:ID}', secret_access_key: '${env:SECRET}'}}
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
	_, err := YAML(builtin, "aws", provider.Proposal{Secrets: []provider.ProposedSecret{
		{Name: "a", Issuer: provider.ProposedPart{Connection: "nowhere", Kind: "iam_access_key", Keys: []provider.ProposedKey{{Key: "user", Value: "a"}}}},
	}})
	if err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
}

func TestOddFieldNamesMakeAValidProposal(t *testing.T) {
	key := func(key string, value any) provider.ProposedKey { return provider.ProposedKey{Key: key, Value: value} }
	for _, odd := range []string{"\u2028", "\u2029", "\u0085", "\ufeff", "\u00a0", "\t", "\n", "\u200b", "\u202e", "\u007f", "\u0080", "\uffff", "'\u2028\"", " ", "?", "- a", "{a", "a: b", "&a", "*a", "!a", "%a", "@a", "`a", "\"", "<<", "null", "~", "1", "true", "=", "a #b", "..."} {
		for _, name := range []string{odd, "a" + odd, odd + "b", "a" + odd + "b: #", "a\u2028" + odd} {
			out, err := YAML(builtin, "aws", provider.Proposal{
				Connections: []provider.ProposedConnection{{Name: "m", Keys: []provider.ProposedKey{key("region", "eu-west-1")}}},
				Secrets: []provider.ProposedSecret{{Name: "b", Comment: []string{name},
					Issuer: provider.ProposedPart{Connection: "m", Kind: "iam_access_key", Keys: []provider.ProposedKey{key("user", "u")}},
					Store:  provider.ProposedPart{Connection: "m", Kind: "secrets_manager", Keys: []provider.ProposedKey{key("name", "prod/b"), key("fields", []provider.ProposedKey{key(name, "access_key_id"), key("s", "secret_access_key")})}},
				}},
			})
			if err != nil {
				t.Errorf("%q: %v\n%s", name, err, out)
			}
		}
	}
}

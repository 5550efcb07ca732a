package aws

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/proposal"
	"github.com/rota-dev/rota/provider"
)

// drawKeys are keys as AWS could have them, with the oddest names it takes.
func drawKeys(t *rapid.T) discoverDoc {
	doc := discoverDoc{At: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), MaxAge: "90d"}
	for i := range rapid.IntRange(1, 12).Draw(t, "keys") {
		connection := rapid.SampledFrom([]string{"main", "other"}).Draw(t, "connection")
		k := discoveredKey{
			Account: "account of " + connection, Connection: connection,
			User:  rapid.OneOf(rapid.StringMatching(`[a-z0-9_+=,.@-]{1,8}`), rapid.SampledFrom([]string{".", "..", "true", "1", "=cmd", "-x", "null"})).Draw(t, "user"), // IAM tells no capitals apart
			KeyID: fmt.Sprintf("AKIA%016d", i), Active: rapid.Bool().Draw(t, "active"), UseKnown: rapid.Bool().Draw(t, "known"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "holders") {
			k.HeldBy = append(k.HeldBy, heldBy{
				Secret: rapid.StringMatching(`[A-Za-z0-9/_+=.@-]{1,6}`).Draw(t, "secret"), Region: "eu-central-1", Connection: connection,
				IDField:     rapid.OneOf(rapid.Just("id"), rapid.Just(""), rapid.String()).Draw(t, "id field"),
				SecretField: rapid.OneOf(rapid.Just("secret"), rapid.Just("${env:X}"), rapid.String()).Draw(t, "secret field"),
			})
		}
		doc.Keys = append(doc.Keys, k)
	}
	return doc
}

func TestEveryProposalIsAGoodFile(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	var connections []*Connection
	for name, account := range map[string]string{"main": "111122223333", "other": "444455556666"} {
		c, err := New(t.Context(), name, Config{Region: "eu-central-1", RoleARN: "arn:aws:iam::" + account + ":role/rota"})
		if err != nil {
			t.Fatal(err)
		}
		connections = append(connections, c)
	}
	catalog := config.MustCatalog(Provider())
	rapid.Check(t, func(t *rapid.T) {
		doc := drawKeys(t)
		p := proposalOf(nil, connections, doc)
		if len(p.Secrets) == 0 {
			return
		}
		text, err := proposal.YAML(catalog, ConnectionKind, p)
		if err != nil {
			t.Fatal(err)
		}
		file, err := catalog.Parse("found.yaml", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if len(file.Document.Secrets) != len(p.Secrets) {
			t.Fatalf("%d secrets of %d\n%s", len(file.Document.Secrets), len(p.Secrets), text)
		}
	})
}

// A connection of rota.yaml is taken over without its secrets; references to
// them are no secrets.
func TestProposalTakesConnectionsOverWithoutTheirSecrets(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	c, err := New(t.Context(), "main", Config{Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ secret, token, want string }{
		{"plain-text-secret", "${file:/run/token}", "region external_id"},
		{"${env:SECRET}", "plain-text-token", "region external_id"},
		{"${env:SECRET}", "", "region external_id access_key_id secret_access_key"},
		{"${env:SECRET}", "${file:/run/token}", "region external_id access_key_id secret_access_key session_token"},
	} {
		file := &provider.DiscoveryFile{Written: func(string) map[string]string {
			return map[string]string{"region": "eu-central-1", "external_id": "7", "access_key_id": "${env:ID}", "secret_access_key": test.secret, "session_token": test.token}
		}}
		var keys []string
		for _, k := range connectionKeys(file, c) {
			keys = append(keys, k.Key)
		}
		if got := strings.Join(keys, " "); got != test.want {
			t.Errorf("secret %s, token %s: %s", test.secret, test.token, got)
		}
	}
}

package cli

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/provider/aws"
)

// drawKeys are keys as AWS could have them, with the oddest names it takes.
func drawKeys(t *rapid.T) discoverDoc {
	doc := discoverDoc{At: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), MaxAge: "90d"}
	for i := range rapid.IntRange(1, 12).Draw(t, "keys") {
		connection := rapid.SampledFrom([]string{"main", "other"}).Draw(t, "connection")
		k := discoveredKey{
			Account: "account of " + connection, Connection: connection,
			User:  rapid.OneOf(rapid.StringMatching(`[a-z0-9_+=,.@-]{1,8}`), rapid.SampledFrom([]string{".", "..", "true", "1", "=cmd", "-x", "~"})).Draw(t, "user"), // IAM tells no capitals apart
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
	var connections []*aws.Connection
	for name, account := range map[string]string{"main": "111122223333", "other": "444455556666"} {
		c, err := aws.New(t.Context(), name, aws.Config{Region: "eu-central-1", RoleARN: "arn:aws:iam::" + account + ":role/rota"})
		if err != nil {
			t.Fatal(err)
		}
		connections = append(connections, c)
	}
	catalog := config.MustCatalog(providers.List()...)
	rapid.Check(t, func(t *rapid.T) {
		doc := drawKeys(t)
		p, _ := proposalOf(nil, connections, doc)
		p.Catalog = catalog
		if len(p.Secrets) == 0 {
			return
		}
		text, err := p.YAML()
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

func TestNoCellOfTheCSVIsAFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		a := &app{Program: Program{Stdout: &out}}
		doc := drawKeys(t)
		if err := a.discoverCSV(doc); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(rows) != len(doc.Keys)+1 {
			t.Fatal(len(rows), err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r\n") {
					t.Fatalf("%q", cell)
				}
			}
		}
	})
}

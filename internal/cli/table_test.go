package cli

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/rotation"
)

// Names as long as people give them.
const (
	longSecret  = "prod/eu-central-1/checkout/payment-gateway-database"
	longKey     = "AKIAATNWF77GJN7NSQ7P"
	longVersion = "rota-0f25b766-775d-4038-b1e2-1bacd2f2594a"
	longReason  = "hold: the previous credential AKIAATNWF77GJN7NSQ7P was used 2h3m ago from secretsmanager in eu-central-1; it must be unused for 7d"
)

// tables print every table there is, with long names, each under the name of the
// function that makes it.
var tables = map[string]func(a *app){
	"printStatus": func(a *app) {
		a.printStatus(api.StatusDoc{At: noon, Secrets: []api.StatusSecretDoc{
			{Secret: "prod/cms", State: api.StateOK, Credential: longKey, IssuedAt: noon.Add(-time.Hour), Next: rota.StepCreate, NextAt: noon.Add(90 * rota.Day), Reason: "rotate when it is 90d old"},
			{Secret: longSecret, State: api.StateQuarantined, Credential: longKey, IssuedAt: noon.Add(-400 * rota.Day), ExpiresAt: noon.Add(3 * rota.Day), Previous: longKey, PreviousInactive: true,
				Next: rota.StepDeactivate, NextAt: noon.Add(-rota.Day), Reason: longReason, Remedies: rota.Outside("allow iam:GetAccessKeyLastUsed to arn:aws:iam::111122223333:role/rota")},
		}})
	},
	"printPlan": func(a *app) {
		a.printPlan(api.PlanDoc{From: noon, Secrets: []api.PlanSecretDoc{{Secret: longSecret, Steps: []api.StepDoc{
			{At: noon, Step: rota.StepDeactivate, Hold: rotation.HoldInUse, Reason: longReason},
			{At: noon.Add(rota.Day), Step: rota.StepCreate, Credential: "checkout_payment_gateway_b", Reason: "it is 90d old, the policy says 90d; the old one stops working when the new one is set"},
		}}}})
	},
	"printHistory": func(a *app) {
		a.printHistory([]effect{{Entry: rotation.Entry{At: noon, Actor: "oidc:gitlab:project_path:checkout/payment-gateway", Secret: longSecret, Step: "deactivate", Object: "gateway-configuration", Credential: longKey, Outcome: rotation.OutcomeInterrupted, Detail: longReason}}})
	},
	"printNoHistory": func(a *app) {
		_ = a.printNoHistory(longSecret, api.HistoryDoc{Versions: []api.VersionDoc{{Version: longVersion, Labels: []rota.Label{rota.LabelCurrent, rota.LabelServed}, CreatedAt: noon, Credential: longKey}}})
	},
	"printAudit": func(a *app) {
		a.printAudit(api.HistoryDoc{Entries: []api.EntryDoc{{Entry: rotation.Entry{At: noon, Actor: "svc-rota@rota-0.eu-central-1.internal", Secret: longSecret, Step: "deliver", Object: "gateway-configuration", Credential: longKey, Outcome: rotation.OutcomeFailed, Detail: longReason}}}})
	},
	"printVersions": func(a *app) {
		a.printVersions(api.VersionsDoc{Versions: []api.VersionDoc{{Version: longVersion, Labels: []rota.Label{rota.LabelCurrent, rota.LabelServed, rota.LabelAdopted}, CreatedAt: noon, Credential: longKey, State: "active", Use: "last used 2026-03-01 09:00 from secretsmanager in eu-central-1", Ours: true, Adopted: true}}})
	},
	"printHolders": func(a *app) {
		a.printHolders(api.HoldersDoc{Secret: longSecret, Retires: true, Holders: []api.HolderDoc{
			{Instance: "payment-gateway-7d9f6c5b4-x2x4p-q7e2k3ba", Principal: "app/checkout/payment-gateway", Version: longVersion, Since: noon.Add(-rota.Day), Until: noon.Add(10 * time.Minute)},
			{Version: longVersion, Current: true, Since: noon, Until: noon},
		}})
	},
	"providers": func(a *app) { _ = a.providers() },
	"printProvider": func(a *app) {
		for _, p := range a.catalog.Describe() {
			a.printProvider(p, []provider.Grant{longGrant})
		}
	},
	"printGrants": func(a *app) { a.printGrants([]provider.Grant{longGrant}) },
	"printPrincipals": func(a *app) {
		a.printPrincipals([]api.Principal{{Name: "app/checkout/payment-gateway", Rules: []api.Rule{{Action: "read", Pattern: longSecret}, {Action: "list", Pattern: "prod/eu-central-1/checkout/*"}}, Keys: []api.Key{{ID: "ROTAATNWF77GJN7NSQ7P", ExpiresAt: noon.Add(rota.Day), UsedAt: noon}}}})
	},
	"printDiscovered": func(a *app) {
		words := func(texts ...string) (row []provider.Words) {
			for _, text := range texts {
				row = append(row, provider.Words{Text: text})
			}
			return row
		}
		_ = a.printDiscovered(provider.Discovered{Header: []string{"ACCOUNT", "USER", "KEY", "STATE", "AGE", "LAST USED", "MANAGED BY"},
			Rows: [][]provider.Words{words("111122223333", "prod-checkout-payment-gateway-s3-user", longKey, "active", "1203d", "2026-03-01 (30d ago), secretsmanager in eu-central-1", longSecret)}}, discoverOptions{output: "table"})
	},
}

var longGrant = provider.Grant{Title: "connection prod-checkout-aws", Permissions: []provider.Permission{
	{Action: "secretsmanager:UpdateSecretVersionStage", Resource: "arn:aws:secretsmanager:eu-central-1:111122223333:secret:" + longSecret + "-??????", Why: "moves the labels AWSPENDING, AWSCURRENT and AWSPREVIOUS", For: provider.OccasionCreate},
}}

func tableApp(out *bytes.Buffer) *app {
	a := newApp(Program{Stdout: out, Stderr: out, Now: func() time.Time { return noon }, Env: []string{"HOME=/home/rota"}})
	a.catalog = config.MustCatalog(providers.List()...)
	a.outStyle = a.styleOf(out)
	return a
}

func TestEveryTableFitsInEightyColumns(t *testing.T) {
	for name, print := range tables {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			a := tableApp(&out)
			print(a)
			if out.Len() == 0 {
				t.Fatal("it prints nothing")
			}
			checkWidth(t, name, out.String())
		})
	}
}

// checkWidth allows wider lines only to a single word, such as an ARN, and to
// what isn't a table.
func checkWidth(t *testing.T, name, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		prose := strings.HasPrefix(line, "no history") || strings.HasPrefix(line, "no server") || name == "printProvider" && (strings.Contains(line, ": ") || strings.Contains(line, "- {name"))
		if utf8.RuneCountInString(line) > 80 && len(strings.Fields(line)) > 1 && !prose {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
}

// A table that the test above doesn't know would be one that nobody measures.
func TestEveryTableIsMeasured(t *testing.T) {
	var made []string
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name == "table" {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "table" || s.Sel.Name == "sections") {
					made = append(made, f.Name.Name)
				}
				return true
			})
		}
	}
	slices.Sort(made)
	if diff := cmp.Diff(slices.Compact(made), slices.Sorted(maps.Keys(tables))); diff != "" {
		t.Errorf("functions that print tables, and those measured:\n%s", diff)
	}
}

func TestATableIsLaidOutForItsTerminal(t *testing.T) {
	header, rows := []string{"SECRET", "STATE", "NEXT", "WHY"}, func() [][]cell {
		return [][]cell{cells("prod/cms", "ok", "create", "rotate when it is 90 days old and the window is open"), cells("prod/db", "held", "", "paused by ann")}
	}
	for _, test := range []struct {
		columns, want string
	}{
		{"90", `SECRET    STATE  NEXT    WHY
prod/cms  ok     create  rotate when it is 90 days old and the window is open
prod/db   held           paused by ann
`}, {"60", `SECRET    STATE  NEXT    WHY
prod/cms  ok     create  rotate when it is 90 days old and
                         the window is open
prod/db   held           paused by ann
`}, {"50", `SECRET    STATE  NEXT
prod/cms  ok     create
    rotate when it is 90 days old and the window
    is open
prod/db   held
    paused by ann
`},
	} {
		var out bytes.Buffer
		a := tableApp(&out)
		a.environment["COLUMNS"] = test.columns
		a.outStyle = a.styleOf(&out)
		a.table(header, rows())
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Errorf("%s columns:\n%s", test.columns, diff)
		}
	}
	var out bytes.Buffer
	a := tableApp(&out)
	a.table([]string{"SECRET", "CREDENTIAL", "NEXT"}, [][]cell{cells(strings.Repeat("s", 60), longKey, "create")})
	if want := "SECRET\n" + strings.Repeat("s", 60) + "\n    credential: " + longKey + "; next: create\n"; out.String() != want {
		t.Errorf("it prints\n%s\nwant\n%s", out.String(), want)
	}
}

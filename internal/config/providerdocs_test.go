package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The docs contain blocks generated from the providers' descriptions:
//
//	<!-- rota providers: keys -->
//	…
//	<!-- end -->
//
// go generate rewrites them. On a provider's page, the roles, example and keys
// blocks are about that provider; systems and kinds are tables of all
// providers.
var docBlock = regexp.MustCompile(`(?s)<!-- rota providers: (\w+) -->\n.*?<!-- end -->`)

const providerPages = "../../docs/providers"

// Every provider has a page with everything its description says, and is listed
// in the tables of all providers.
func TestDocumentsShowWhatProvidersDescribe(t *testing.T) {
	all := builtin.Describe()
	compareBlocks(t, "../../README.md", []string{"systems"}, func(string) string { return systemsTable(all, "docs/providers/") })
	compareBlocks(t, providerPages+"/README.md", []string{"systems", "issuers"}, func(block string) string {
		if block == "systems" {
			return systemsTable(all, "")
		}
		return issuersTable(all)
	})
	pages := []string{"README.md"}
	for _, d := range all {
		pages = append(pages, d.Page+".md")
		compareBlocks(t, filepath.Join(providerPages, d.Page+".md"), []string{"roles", "example", "keys"}, func(block string) string {
			switch block {
			case "roles":
				return rolesTable(d)
			case "example":
				return "```yaml\n" + d.Example + "```"
			}
			return keysTables(d)
		})
	}
	found, err := os.ReadDir(providerPages)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if !slices.Contains(pages, f.Name()) {
			t.Errorf("docs/providers/%s is no provider's page", f.Name())
		}
	}
}

// compareBlocks compares a document's blocks with what they should be, or
// rewrites them with -update.
func compareBlocks(t *testing.T, path string, want []string, render func(block string) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	var found []string
	content := docBlock.ReplaceAllStringFunc(string(text), func(block string) string {
		name := docBlock.FindStringSubmatch(block)[1]
		found = append(found, name)
		return "<!-- rota providers: " + name + " -->\n" + render(name) + "\n<!-- end -->"
	})
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(found))); diff != "" {
		t.Errorf("%s: its blocks <!-- rota providers: … -->:\n%s", path, diff)
	}
	if *update {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(content, string(text)); diff != "" {
		t.Errorf("%s is old (try: go generate ./internal/config):\n%s", path, diff)
	}
}

// table renders a table in Markdown.
func table(header []string, rows [][]string) string {
	lines := []string{"| " + strings.Join(header, " | ") + " |", "|" + strings.Repeat(" --- |", len(header))}
	for _, row := range rows {
		line := "|"
		for _, cell := range row {
			if cell != "" {
				line += " " + strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(cell)
			}
			line += " |"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func code(text string) string { return "`" + text + "`" }

// systemsTable has a row for each provider, with its keys by role.
func systemsTable(all []ProviderDescription, folder string) string {
	roles := []string{RoleIssuer, RoleStore, RoleTarget, RoleReloader, RoleNotifier}
	var rows [][]string
	for _, d := range all {
		row := []string{fmt.Sprintf("[%s](%s%s.md)", d.System, folder, d.Page)}
		for _, role := range roles {
			var keys []string
			for _, k := range d.Kinds {
				if k.Role == role {
					keys = append(keys, code(k.Key))
				}
			}
			row = append(row, strings.Join(keys, ", "))
		}
		rows = append(rows, row)
	}
	return table([]string{"system", "rotates", "stores", "delivers to", "reloads", "notifies"}, rows)
}

// issuersTable shows how the issuers behave.
func issuersTable(all []ProviderDescription) string {
	var rows [][]string
	for _, d := range all {
		for _, k := range d.Kinds {
			if k.Issuer != nil && !k.Issuer.Manual {
				rows = append(rows, []string{d.System, code(k.Key), yes(k.Issuer.Overlap), k.Issuer.Evidence, k.Issuer.Undo})
			}
		}
	}
	return table([]string{"system", "issuer", "overlap", "evidence of use", "undo"}, rows)
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// rolesTable shows what a provider can do.
func rolesTable(d ProviderDescription) string {
	var rows [][]string
	for _, k := range d.Kinds {
		rows = append(rows, []string{k.Role, code(k.Key), k.Summary})
	}
	return table([]string{"role", "key", "what it is"}, rows)
}

// keysTables lists the keys of each of a provider's kinds.
func keysTables(d ProviderDescription) string {
	var parts []string
	for _, k := range d.Kinds {
		title := fmt.Sprintf("### %s `%s`\n\n", k.Role, k.Key)
		if i := k.Issuer; i != nil && len(i.Fields) > 0 {
			title += "Fields of a credential: `" + strings.Join(i.Fields, "`, `") + "`."
			if i.Varies != "" {
				title += " Depends on the configuration: " + i.Varies + "."
			}
			title += "\n\n"
		}
		if k.Keys[0].Key == "" {
			parts = append(parts, title+"A single value: a "+k.Keys[0].Type+", such as "+code(k.Key+": "+k.Example)+".")
			continue
		}
		var rows [][]string
		for _, key := range k.Keys {
			about, byDefault := key.Description, key.Default
			if len(key.Values) > 0 {
				about += " One of `" + strings.Join(key.Values, "`, `") + "`."
			}
			if key.Required {
				byDefault = "required"
			}
			rows = append(rows, []string{code(key.Key), key.Type, byDefault, about})
		}
		parts = append(parts, title+table([]string{"key", "value", "default", "meaning"}, rows))
	}
	return strings.Join(parts, "\n\n")
}

package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

// Every key of rota.yaml appears as code in docs/configuration.md, in a section
// named after the key or after one of its parents. The keys of the providers'
// kinds are on the providers' pages: see
// TestDocumentsShowWhatProvidersDescribe.
func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	code, word := regexp.MustCompile("`[^`]+`"), regexp.MustCompile(`\w+`)
	sections := map[string][]string{} // the words formatted as code, by heading
	heading := ""
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			heading = strings.TrimSpace(name)
		}
		for _, c := range code.FindAllString(line, -1) {
			sections[heading] = append(sections[heading], word.FindAllString(c, -1)...)
		}
	}
	places := map[string]role{ // the keys that contain kinds
		"connections": roleConnection, "issuer": roleIssuer, "store": roleStore, "test": roleCheck,
		"targets": roleTarget, "reload": roleReloader, "anchors": roleArchive,
	}
	var visit func(path []string, s *jsonschema.Schema)
	visit = func(path []string, s *jsonschema.Schema) {
		if s == nil {
			return
		}
		visit(path, s.Items)
		visit(path, s.AdditionalProperties)
		for _, one := range s.OneOf {
			visit(path, one)
		}
		for key, property := range s.Properties {
			if len(path) > 0 && slices.ContainsFunc(builtin.kinds[places[path[len(path)-1]]], func(k *kind) bool { return k.Key == key }) {
				continue
			}
			path := append(slices.Clone(path), key)
			_, own := sections[key]
			if !own && !slices.ContainsFunc(path, func(p string) bool { return slices.Contains(sections[p], key) }) {
				t.Errorf("docs/configuration.md: %s is not there", strings.Join(path, "."))
			}
			visit(path, property)
		}
	}
	schema, err := builtin.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(schema, &s); err != nil {
		t.Fatal(err)
	}
	visit(nil, &s)
}

// Every example rota.yaml in the docs is valid. Snippets that start inside a
// section, such as a policy, aren't complete files and are left out.
func TestExamplesInTheDocumentsAreGood(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(providerPages + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	documents = append(documents, pages...)
	example := regexp.MustCompile("(?ms)^```yaml\n((?:# \\S*agent\\.yaml\nserver: |(?:connections|defaults|server|access|secrets):\n).*?)^```")
	found := 0
	for _, path := range append(documents, "../../README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range example.FindAllStringSubmatch(string(text), -1) {
			found++
			content := e[1]
			if regexp.MustCompile(`(?m)^login:`).MatchString(content) { // an agent.yaml
				if _, err := builtin.ParseAgent(path, []byte(content)); err != nil {
					t.Errorf("%v\n%s", err, content)
				}
				continue
			}
			if !regexp.MustCompile(`(?m)^secrets:`).MatchString(content) {
				content += "secrets: []\n"
			}
			if _, err := builtin.Parse(path, []byte(content)); err != nil {
				t.Errorf("%v\n%s", err, content)
			}
		}
	}
	if found == 0 {
		t.Error("the documents have no example")
	}
}

package config

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

// Every key of rota.yaml stands as code in docs/configuration.md, in a section
// that is named after it or after a key that it lies in.
func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	code, word := regexp.MustCompile("`[^`]+`"), regexp.MustCompile(`\w+`)
	sections := map[string][]string{} // the words of their code, by heading
	heading := ""
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			heading = strings.TrimSpace(name)
		}
		for _, c := range code.FindAllString(line, -1) {
			sections[heading] = append(sections[heading], word.FindAllString(c, -1)...)
		}
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
			path := append(slices.Clone(path), key)
			_, own := sections[key]
			if !own && !slices.ContainsFunc(path, func(p string) bool { return slices.Contains(sections[p], key) }) {
				t.Errorf("docs/configuration.md: %s is not there", strings.Join(path, "."))
			}
			visit(path, property)
		}
	}
	schema, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(schema, &s); err != nil {
		t.Fatal(err)
	}
	visit(nil, &s)
}

package check

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write what's generated: make chart")

// same compares a file with what it should have, or writes it.
func same(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err == nil && bytes.Equal(got, want) {
		return
	}
	if *update {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, want, 0o644))
		return
	}
	t.Errorf("%s isn't up to date: make chart", path)
}

// The chart's copies of what others maintain: Helm packs nothing from outside it.
func TestTheChartsCopiesAreUpToDate(t *testing.T) {
	rules, err := os.ReadFile("../../prometheus/rota.rules.yaml")
	must(t, err)
	same(t, chartFolder+"/files/rota.rules.yaml", rules)

	sources, err := filepath.Glob("../../kubernetes/crds/*.yaml")
	must(t, err)
	var names []string
	for _, source := range sources {
		text, err := os.ReadFile(source)
		must(t, err)
		if n := len(objectsOf(t, "\n"+string(text))); n != 1 {
			t.Errorf("%s has %d definitions: the chart takes one a file", source, n)
		}
		same(t, chartFolder+"/files/crds/"+filepath.Base(source), text)
		names = append(names, filepath.Base(source))
	}
	copies, err := filepath.Glob(chartFolder + "/files/crds/*.yaml")
	must(t, err)
	for _, path := range copies {
		if !slices.Contains(names, filepath.Base(path)) {
			t.Errorf("%s is a copy of nothing", path)
		}
	}
	if made := len(rendered(t, parse(t, "controller: {enabled: true}"))["CustomResourceDefinition"]); made != len(sources) {
		t.Errorf("the chart makes %d definitions of %d", made, len(sources))
	}
	for _, crd := range rendered(t, parse(t, "controller: {enabled: true}"))["CustomResourceDefinition"] {
		if crd.text("metadata", "annotations", "helm.sh/resource-policy") != "keep" {
			t.Errorf("helm uninstall would delete %s, and every resource of that kind", crd.id())
		}
	}
}

type schema struct {
	Type        any
	Description string
	Properties  map[string]schema
	Additional  any `json:"additionalProperties"`
}

// Every value of values.yaml is in the schema with a description, and the other way
// round. The README's table is made of them.
func TestTheValuesTable(t *testing.T) {
	text, err := os.ReadFile(chartFolder + "/values.schema.json")
	must(t, err)
	var root schema
	must(t, json.Unmarshal(text, &root))
	defaults, err := os.ReadFile(chartFolder + "/values.yaml")
	must(t, err)
	v := parse(t, string(defaults))
	delete(root.Properties, "global") // Helm's own
	var table strings.Builder
	table.WriteString("| value | what it is | default |\n| --- | --- | --- |\n")
	rows(t, &table, "", root, v)
	readme, err := os.ReadFile(chartFolder + "/README.md")
	must(t, err)
	before, rest, found := strings.Cut(string(readme), "<!-- values -->\n")
	_, after, closed := strings.Cut(rest, "<!-- end -->")
	if !found || !closed {
		t.Fatal("README.md has no place for the table")
	}
	same(t, chartFolder+"/README.md", []byte(before+"<!-- values -->\n"+table.String()+"<!-- end -->"+after))
}

func rows(t *testing.T, table *strings.Builder, prefix string, s schema, v values) {
	t.Helper()
	if s.Additional != false {
		t.Errorf("%q takes unknown values", prefix)
	}
	for name := range v {
		if _, known := s.Properties[name]; !known {
			t.Errorf("values.yaml has %s%s, the schema hasn't", prefix, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		value, there := v[name]
		if p.Description == "" || !there {
			t.Errorf("%s%s has no description, or isn't in values.yaml", prefix, name)
		}
		if len(p.Properties) > 0 {
			nested, _ := value.(map[string]any)
			rows(t, table, prefix+name+".", p, nested)
			continue
		}
		shown, err := json.Marshal(value)
		must(t, err)
		fmt.Fprintf(table, "| `%s%s` | %s | `%s` |\n", prefix, name, strings.ReplaceAll(p.Description, "|", "\\|"), shown)
	}
}

// The kustomize base is what the chart makes by default, without Helm's labels: one
// source for both.
func TestTheKustomizeBaseIsTheChartsDefault(t *testing.T) {
	for kind, objects := range rendered(t, values{}) {
		if kind == "ConfigMap" {
			continue // kustomization.yaml makes it of rota.yaml, which overlays replace
		}
		o := objects[0]
		withoutHelm(map[string]any(o))
		text, err := yaml.Marshal(o)
		must(t, err)
		text = append([]byte("# Made of the Helm chart's defaults by make chart.\n"), text...)
		same(t, "../../kustomize/"+strings.ToLower(kind)+".yaml", text)
	}
}

func withoutHelm(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/resource-policy", "checksum/server"} {
			delete(v, key)
		}
		if m, ok := v["annotations"].(map[string]any); ok && len(m) == 0 {
			delete(v, "annotations")
		}
		for key, nested := range v {
			withoutHelm(nested)
			if m, ok := nested.(map[string]any); ok && key == "annotations" && len(m) == 0 {
				delete(v, key)
			}
		}
	case []any:
		for _, nested := range v {
			withoutHelm(nested)
		}
	}
}

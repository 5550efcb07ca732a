package kubernetes

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider"
)

func TestThePolicyIsYAMLWhateverTheNames(t *testing.T) {
	r := &Restart{Namespace: "1e3", Secret: "true", Workloads: []Workload{{"deployment", "10.5"}}}
	text, err := document([]provider.Grant{{Name: "Prod EU", Title: "connection Prod EU", Permissions: r.Permissions()}}, "2024/rota")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`namespace: "1e3"`, `resourceNames: ["true"]`, `resourceNames: ["10.5"]`, `name: rota-prod-eu`, `namespace: "2024"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
	values, err := chartValues([]provider.Grant{{Name: "Prod EU", Title: "connection Prod EU", Permissions: r.Permissions()}})
	if err != nil {
		t.Fatal(err)
	}
	var chart struct {
		RBAC struct {
			Namespaces map[string][]struct {
				Resources, Verbs []string
				ResourceNames    []string `yaml:"resourceNames"`
			}
		} `yaml:"rbac"`
	}
	if err := yaml.Unmarshal(values, &chart); err != nil {
		t.Fatalf("%v:\n%s", err, values)
	}
	var named []string
	for _, rule := range chart.RBAC.Namespaces["1e3"] {
		named = append(named, rule.ResourceNames...)
	}
	if len(chart.RBAC.Namespaces) != 1 || !slices.Contains(named, "true") || !slices.Contains(named, "10.5") {
		t.Errorf("values with the names %q:\n%s", named, values)
	}
	if _, err := chartValues(make([]provider.Grant, 2)); err == nil || !strings.Contains(hint.Text(err), "--connection") {
		t.Errorf("two clusters' rules in one chart: %v", err)
	}
	if _, err := document(nil, "no account"); err == nil {
		t.Error("a service account that can't be one is taken")
	}
}

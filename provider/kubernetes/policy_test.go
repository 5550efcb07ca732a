package kubernetes

import (
	"strings"
	"testing"

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
	if _, err := document(nil, "no account"); err == nil {
		t.Error("a service account that can't be one is taken")
	}
}

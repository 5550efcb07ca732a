package api

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Every route of docs/openapi.json stands in docs/api.md.
func TestEveryRouteIsDocumented(t *testing.T) {
	description, err := os.ReadFile("../../docs/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(description, &api); err != nil {
		t.Fatal(err)
	}
	if len(api.Paths) == 0 {
		t.Error("docs/openapi.json has no routes")
	}
	for path, methods := range api.Paths {
		for method := range methods {
			if route := strings.ToUpper(method) + " " + path; !strings.Contains(string(document), "`"+route+"`") {
				t.Errorf("docs/api.md: %s is not there", route)
			}
		}
	}
}

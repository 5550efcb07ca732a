package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota/internal/service"
)

// documented is docs/api.md.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every route of docs/openapi.json stands in docs/api.md.
func TestEveryRouteIsDocumented(t *testing.T) {
	description, err := os.ReadFile("../../../docs/openapi.json")
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
	document := documented(t)
	for path, methods := range api.Paths {
		for method := range methods {
			if route := strings.ToUpper(method) + " " + path; !strings.Contains(document, "`"+route+"`") {
				t.Errorf("docs/api.md: %s is not there", route)
			}
		}
	}
}

// The example of a problem in docs/api.md is the API's answer.
func TestTheExampleOfAProblemIsTrue(t *testing.T) {
	h := handler(t, operations{status: func() (api.StatusDoc, error) {
		return api.StatusDoc{}, &service.UsageError{Err: rota.WithRemedies(errors.New(`rota.yaml has no secret "prod/ordrs-db"`), rota.Correct("prod/orders-db")), NoSecret: true}
	}})
	w := ask(h, http.MethodGet, "/v1/secrets/prod%2Fordrs-db", "")
	if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusNotFound || !strings.Contains(documented(t), "\n"+got+"\n") {
		t.Errorf("docs/api.md does not have the answer, %d %s", w.Code, got)
	}
}

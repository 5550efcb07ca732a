package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v4"
)

const (
	schemaFile      = "../../docs/rota.schema.json"
	agentSchemaFile = "../../docs/agent.schema.json"
)

//go:generate go test -trimpath -run "TestTheSchemaFileIsUpToDate|TestDocumentsShowWhatProvidersDescribe" -update .

func TestTheSchemaFileIsUpToDate(t *testing.T) {
	for file, schema := range map[string]func() ([]byte, error){schemaFile: builtin.Schema, agentSchemaFile: builtin.AgentSchema} {
		want, err := schema()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is old (try: go generate ./internal/config):\n%s", file, diff)
		}
	}
}

func resolved(t testing.TB) *jsonschema.Resolved {
	t.Helper()
	text, err := builtin.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// instance parses a YAML text into the form the schema validates.
func instance(t testing.TB, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestGoodFilesAreTakenByTheDecoderAndTheSchema(t *testing.T) {
	everything, err := os.ReadFile("testdata/good/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	base, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	schema := resolved(t)
	for name, data := range map[string]string{"starter": Starter(), "everything": string(everything), "base": string(base), "no secrets yet": "secrets: []\n"} {
		t.Run(name, func(t *testing.T) {
			if _, err := builtin.Parse("rota.yaml", []byte(data)); err != nil {
				t.Errorf("decoder: %v", err)
			}
			if err := schema.Validate(instance(t, []byte(data))); err != nil {
				t.Errorf("schema: %v", err)
			}
		})
	}
}

func TestTheSchemaRefusesWhatIsWrongInShape(t *testing.T) {
	schema := resolved(t)
	for name, data := range map[string]string{
		"an unknown key":               "secrets: []\ncolour: red\n",
		"a number for a text":          "connections: {a: {aws: {region: 1}}}\nsecrets: []\n",
		"no secrets":                   "connections: {}\n",
		"a connection without a kind":  "connections: {a: {}}\nsecrets: []\n",
		"a connection with two kinds":  "connections: {a: {aws: {}, command: {run: [x]}}}\nsecrets: []\n",
		"an unknown format":            "secrets: [{name: a, issuer: {connection: c, iam_access_key: {user: u}}, targets: [{name: t, file: {path: /p, format: yaml}}]}]\n",
		"a bad duration":               "defaults: {policy: {rotate_every: often}}\nsecrets: []\n",
		"three roles":                  "secrets: [{name: a, issuer: {connection: c, alternating: {roles: [a, b, c]}}}]\n",
		"a check of two kinds":         "secrets: [{name: a, issuer: {connection: c, iam_access_key: {user: u}}, test: {s3_bucket: b, query: q}}]\n",
		"nothing where a list belongs": "secrets:\n",
	} {
		t.Run(name, func(t *testing.T) {
			if schema.Validate(instance(t, []byte(data))) == nil {
				t.Error("taken")
			}
		})
	}
}

// For every object in the schema, this test gives the decoder all of its keys,
// and then one more. The decoder must accept exactly the schema's keys.
func TestDecoderAndSchemaKnowTheSameKeys(t *testing.T) {
	text, err := builtin.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	keys := 0
	var walk func(s *jsonschema.Schema, wrap func(string) string)
	walk = func(s *jsonschema.Schema, wrap func(string) string) {
		switch {
		case s.Items != nil:
			walk(s.Items, func(inner string) string { return wrap("[" + inner + "]") })
		case len(s.OneOf) > 0 && s.Properties == nil:
			for _, one := range s.OneOf {
				walk(one, wrap)
			}
		case s.Properties != nil:
			names := slices.Sorted(maps.Keys(s.Properties))
			all := "{zzz: 1, " + strings.Join(names, ": 1, ") + ": 1}"
			_, err := builtin.Parse("f", []byte(wrap(all)))
			if err == nil {
				t.Fatalf("%s: taken", wrap(all))
			}
			if got := strings.Count(err.Error(), "unknown key"); got != 1 || !strings.Contains(err.Error(), `unknown key "zzz"`) {
				t.Errorf("%s: want only zzz to be unknown:\n%v", wrap(all), err)
			}
			if s.Properties != nil && (s.AdditionalProperties == nil || s.AdditionalProperties.Not == nil) {
				t.Errorf("%s: the schema takes additional keys", wrap(all))
			}
			for _, name := range names {
				keys++
				if s.Properties[name].Description == "" && name != "zzz" {
					t.Errorf("%s: no description of %s", wrap(all), name)
				}
				walk(s.Properties[name], func(inner string) string { return wrap(fmt.Sprintf("{%s: %s}", name, inner)) })
			}
		case s.Type == "object" && s.AdditionalProperties != nil:
			walk(s.AdditionalProperties, func(inner string) string { return wrap("{some-name: " + inner + "}") })
		}
	}
	walk(&s, func(inner string) string { return inner })
	if keys < 70 {
		t.Errorf("walked %d keys, want at least 70", keys)
	}
	// Conversely, every key of the types was visited.
	if diff := cmp.Diff(slices.Sorted(maps.Keys(s.Properties)), []string{"access", "connections", "controller", "defaults", "include", "secrets", "server"}); diff != "" {
		t.Error(diff)
	}
}

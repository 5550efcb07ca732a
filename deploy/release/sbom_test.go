package release

import (
	"debug/buildinfo"
	"encoding/json"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
)

// Each program has a list of the modules that Go recorded in it: these, the standard
// library, and no others.
func TestTheListsOfModulesAreExact(t *testing.T) {
	schema := sbomSchema(t)
	m := built(t)
	for _, program := range programs(t, "") {
		target := strings.Split(filepath.Base(filepath.Dir(program)), "_") // linux_amd64_linux_amd64_v1
		name := strings.TrimSuffix(filepath.Base(program), ".exe") + "_" + m.Version + "_" + target[2] + "_" + target[3] + ".cdx.json"
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dist, name))
			if err != nil {
				t.Fatal(err)
			}
			var document any
			if err := json.Unmarshal(text, &document); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(document); err != nil {
				t.Errorf("it isn't valid: %v", err)
			}
			var bom cyclonedx.BOM
			if err := json.Unmarshal(text, &bom); err != nil {
				t.Fatal(err)
			}
			info, err := buildinfo.ReadFile(program)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"std " + info.GoVersion}
			for _, dep := range info.Deps {
				if dep.Replace != nil {
					dep = dep.Replace
				}
				want = append(want, dep.Path+" "+dep.Version)
			}
			var got []string
			for _, c := range *bom.Components {
				got = append(got, c.Name+" "+c.Version)
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("go version -m and the list (-want +got):\n%s", diff)
			}
			if c := bom.Metadata.Component; c.Name != info.Main.Path || c.Version != "v"+m.Version {
				t.Errorf("it's the list of %s %s", c.Name, c.Version)
			}
			if bom.SerialNumber != "" || bom.Metadata.Timestamp != "" {
				t.Errorf("it has a number %q or a time %q, which differ each time", bom.SerialNumber, bom.Metadata.Timestamp)
			}
		})
	}
}

// sbomSchema is CycloneDX's own, which comes with its library.
func sbomSchema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	dir := filepath.Join(strings.TrimSpace(command(t, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")), "schema")
	load := func(u *url.URL) (*jsonschema.Schema, error) {
		name := path.Base(u.Path)
		if name == "jsf-0.82.schema.json" {
			name = "jsf-0.82.schemax.json" // the library has it by this name
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		var s jsonschema.Schema
		return &s, json.Unmarshal(text, &s)
	}
	s, err := load(&url.URL{Path: "bom-1.6.schema.json"})
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(&jsonschema.ResolveOptions{BaseURI: "http://cyclonedx.org/schema/bom-1.6.schema.json", Loader: load})
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

package manifests

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/providers"
)

var update = flag.Bool("update", false, "write the manifests anew")

const folder = "../../../deploy/kubernetes/crds"

//go:generate go test -trimpath -run TestTheManifestsAreUpToDate -update .

func TestTheManifestsAreUpToDate(t *testing.T) {
	files, err := Manifests(config.MustCatalog(providers.List()...))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		path := filepath.Join(folder, name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is old (try: go generate ./internal/controller/manifests):\n%s", path, diff)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()] == nil {
			t.Errorf("%s is no resource's", filepath.Join(folder, e.Name()))
		}
	}
}

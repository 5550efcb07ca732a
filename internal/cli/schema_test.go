package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What's printed is what's applied from the repository and by the chart.
func TestSchemaPrintsTheDefinitionsOfTheRepository(t *testing.T) {
	files, err := filepath.Glob("../../deploy/kubernetes/crds/*.yaml") // sorted
	if err != nil || len(files) != 3 {
		t.Fatalf("%d definitions: %v", len(files), err)
	}
	var want [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, text)
	}
	var stdout, stderr bytes.Buffer
	if code := Run(t.Context(), []string{"schema", "--crds"}, nil, nil, &stdout, &stderr); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	if diff := cmp.Diff(string(bytes.Join(want, []byte("---\n"))), stdout.String()); diff != "" {
		t.Errorf("rota schema --crds (-want +got):\n%s", diff)
	}
}

package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// For any input, there is no panic, every problem has a position, and the
// schema accepts whatever the decoder accepts.
func FuzzParse(f *testing.F) {
	f.Add([]byte(Starter()))
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/base.yaml"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	bad, _ := filepath.Glob("testdata/bad/*.txtar")
	for _, name := range bad {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	schema := resolved(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := builtin.Parse("rota.yaml", data)
		if err == nil {
			if err := schema.Validate(instance(t, data)); err != nil {
				t.Fatalf("decoder takes what the schema refuses: %v", err)
			}
			for _, name := range file.Names() {
				if !GoodName(name) {
					t.Errorf("name %q", name)
				}
			}
			return
		}
		problems, ok := errors.AsType[Errors](err)
		if !ok || len(problems) == 0 {
			t.Fatalf("not Errors: %v", err)
		}
		// YAML has more line breaks than \n.
		lines := 2 + strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + strings.Count(string(data), "\u0085") +
			strings.Count(string(data), "\u2028") + strings.Count(string(data), "\u2029")
		for i, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Line > lines && !strings.Contains(p.Message, "not YAML") {
				t.Errorf("position %v of %d lines: %s", p.Pos, lines, p.Message)
			}
			if i > 0 && p.Line < problems[i-1].Line {
				t.Error("not sorted by line")
			}
		}
	})
}

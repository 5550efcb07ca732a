package config

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rota-dev/rota/internal/hint"
)

var update = flag.Bool("update", false, "write the golden files and the schema anew")

// Each file in testdata/bad is a txtar archive. Its comment says in one
// sentence what is wrong, rota.yaml is the input, and errors holds the expected
// messages. The marker BASE in rota.yaml stands for the valid parts in
// testdata/base.yaml, and KINDS in errors for the keys of a role's kinds.
func TestBadFilesAreRefusedWithPositionAndHint(t *testing.T) {
	base, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(files) < 40 {
		t.Fatalf("found %d bad files, %v; want at least 40", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			content := strings.Replace(string(archive.Files[0].Data), "BASE\n", string(base), 1)
			_, err = builtin.Parse("rota.yaml", []byte(content))
			if err == nil {
				t.Fatal("taken, want errors")
			}
			got := withoutKinds(hint.Text(err)) + "\n"
			if *update {
				archive.Files[1].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Errorf("errors differ (-want +got):\n%s", diff)
			}
			if strings.Contains(got, "hunter2") {
				t.Error("a secret's value is in the errors")
			}
		})
	}
}

// withoutKinds puts KINDS in place of each list of the catalog's kinds, so that
// a new provider changes none of the files.
func withoutKinds(text string) string {
	var lists []string
	for role := range builtin.kinds {
		lists = append(lists, strings.Join(builtin.keys(role), ", "))
	}
	// The longest first, as one list may be another's end.
	slices.SortFunc(lists, func(a, b string) int { return len(b) - len(a) })
	for _, list := range lists {
		kinds := regexp.MustCompile("(?m)(needs one of (?:.*, )?)" + regexp.QuoteMeta(list) + "$")
		text = kinds.ReplaceAllString(text, "${1}KINDS")
	}
	return text
}

func TestTheBaseOfTheBadFilesIsGood(t *testing.T) {
	f, err := builtin.Load(t.Context(), "testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Warnings()) > 0 {
		t.Errorf("warnings: %v", f.Warnings())
	}
}

package rota_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func document(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every module that go.mod asks for directly has its reason in ARCHITECTURE.md.
// Beside a module, those that lie in it are named by the rest of their paths.
func TestEveryDirectModuleHasItsReason(t *testing.T) {
	_, table, found := strings.Cut(document(t, "ARCHITECTURE.md"), "\n## Dependencies\n")
	if !found {
		t.Fatal("ARCHITECTURE.md has no section Dependencies")
	}
	direct := regexp.MustCompile(`(?m)^(?:require |\t)(\S+\.\S+) v\S+$`).FindAllStringSubmatch(document(t, "go.mod"), -1)
	if len(direct) == 0 {
		t.Error("go.mod asks for nothing")
	}
	for _, d := range direct {
		if !namesModule(table, d[1]) {
			t.Errorf("ARCHITECTURE.md does not say what %s is for", d[1])
		}
	}
}

func namesModule(table, module string) bool {
	for row := range strings.Lines(table) {
		if strings.Contains(row, "`"+module+"`") {
			return true
		}
		for outer, rest := range prefixes(module) {
			if strings.Contains(row, "`"+outer+"`") && strings.Contains(row, "`"+rest+"`") {
				return true
			}
		}
	}
	return false
}

// prefixes gives each way to part a path at a slash.
func prefixes(path string) func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for i, r := range path {
			if r == '/' && !yield(path[:i], path[i+1:]) {
				return
			}
		}
	}
}

// Every package stands in the map. The providers of the list share a row, and
// so do the fakes of their systems.
func TestEveryPackageIsOnTheMap(t *testing.T) {
	text, list := document(t, "ARCHITECTURE.md"), document(t, "internal/providers/providers.go")
	for folder := range foldersWithGo(t) {
		if row := sharedRow(folder, list); !strings.Contains(text, "`"+row+"`") {
			t.Errorf("ARCHITECTURE.md: package %s is not there, it needs a row %s", folder, row)
		}
	}
}

// sharedRow is the row of the map that a package is in: its own, or that of all
// providers in the list, or of their fakes.
func sharedRow(folder, list string) string {
	name, inside := strings.CutPrefix(folder, "provider/")
	system, rest, _ := strings.Cut(name, "/")
	if !inside || !strings.Contains(list, "/provider/"+system+"\"") {
		return folder
	}
	switch rest {
	case "":
		return "provider/<system>"
	case system + "test":
		return "provider/<system>/<system>test"
	}
	return folder
}

func TestOnlyProvidersOfTheListShareARow(t *testing.T) {
	const list = `	"example.com/provider/mail"`
	for folder, want := range map[string]string{
		"provider/mail":          "provider/<system>",
		"provider/mail/mailtest": "provider/<system>/<system>test",
		"provider/mail/wire":     "provider/mail/wire",
		"provider/memory":        "provider/memory",
		"provider":               "provider",
		"internal/mail":          "internal/mail",
	} {
		if got := sharedRow(folder, list); got != want {
			t.Errorf("%s: row %s, want %s", folder, got, want)
		}
	}
}

// Should the module move, its imports, the linter and go.mod are all that names
// it. Documents show imports too.
func TestNothingElseSpellsTheModulesPath(t *testing.T) {
	module := strings.Fields(document(t, "go.mod"))[1]
	imports := regexp.MustCompile(`(?m)^(?:import |\t)(?:[a-z]+ |_ )?"` + regexp.QuoteMeta(module) + `[^"]*"$`)
	if err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (name == ".git" || name == "bin" || name == "dist"):
			return filepath.SkipDir
		case entry.IsDir(), name == "go.mod", name == ".golangci.yml", filepath.Ext(name) == ".md":
			return nil
		}
		text := imports.ReplaceAllString(document(t, path), "")
		if at := strings.Index(text, module); at >= 0 {
			t.Errorf("%s names the module: %s", path, strings.SplitN(text[at:], "\n", 2)[0])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func foldersWithGo(t *testing.T) map[string]bool {
	t.Helper()
	folders := map[string]bool{}
	if err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (name == "testdata" || name == "bin" || name == "dist" || len(name) > 1 && strings.HasPrefix(name, ".")):
			return filepath.SkipDir
		case filepath.Ext(name) == ".go" && filepath.Dir(path) != ".":
			folders[filepath.ToSlash(filepath.Dir(path))] = true
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return folders
}

// Every link of a document to another file leads to one.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range slices.Concat(files, more, pages) {
		for _, l := range link.FindAllStringSubmatch(document(t, file), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), l[1])); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

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

// Every package stands in the map. A provider's page takes the place of a row.
func TestEveryPackageIsOnTheMap(t *testing.T) {
	text := document(t, "ARCHITECTURE.md")
	for folder := range foldersWithGo(t) {
		if name, ok := strings.CutPrefix(folder, "provider/"); ok {
			if _, err := os.Stat(filepath.Join("docs", "providers", name+".md")); err == nil {
				continue
			}
		}
		if !strings.Contains(text, "`"+folder+"`") {
			t.Errorf("ARCHITECTURE.md: package %s is not there", folder)
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
		case entry.IsDir() && (name == "testdata" || len(name) > 1 && strings.HasPrefix(name, ".")):
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

package hint_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
)

func TestText(t *testing.T) {
	denied := rota.WithRemedies(errors.New("denied"), rota.Outside("allow it"))
	typo := rota.WithRemedies(errors.New(`no secret "shpo"`), rota.Correct("shop"))
	held := rota.WithRemedies(errors.New("held"), []rota.Remedy{{Action: rota.RemedyAdoptGiven, Secret: "app"}, {Action: rota.RemedyRotate, Secret: "app"}})
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"nothing to do", errors.New("broken"), "broken"},
		{"a remedy", fmt.Errorf("app: %w", denied), "app: denied (try: allow it)"},
		{"Rota's own actions are commands", held, "held (try: rota adopt app --from -, or rota rotate app)"},
		{"a mistyped word", typo, `no secret "shpo" (did you mean "shop"?)`},
		{"joined errors have their own", errors.Join(denied, typo), "denied (try: allow it)\nno secret \"shpo\" (did you mean \"shop\"?)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hint.Text(c.err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// A hint is a value until it's shown: only what renders remedies spells it out.
func TestNoTextSpellsOutAHint(t *testing.T) {
	const root = "../.."
	rendering := map[string]bool{"remedy.go": true, "internal/hint/hint.go": true}
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || rendering[filepath.ToSlash(rel)] {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		seen++
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, _ := strconv.Unquote(lit.Value)
			if strings.Contains(text, "(try: ") || strings.HasPrefix(text, "try: ") || strings.Contains(text, "(did you mean") {
				t.Errorf("%s: %s spells out a hint: use rota.WithRemedies", files.Position(lit.Pos()), lit.Value)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 100 {
		t.Errorf("only %d files were read", seen)
	}
}

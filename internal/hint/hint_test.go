package hint_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
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

func TestFirstIsTheFirstOfJoinedErrors(t *testing.T) {
	denied := rota.WithRemedies(errors.New("denied"), rota.Outside("allow it"))
	for _, err := range []error{
		denied,
		errors.Join(denied, errors.New("gone")),
		errors.Join(errors.Join(denied), errors.New("gone")),
	} {
		if got, want := hint.First(err), "denied (try: allow it)"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	one := fmt.Errorf("%w; and then %w", denied, errors.New("gone"))
	if got, want := hint.First(one), "denied; and then gone (try: allow it)"; got != want {
		t.Errorf("one error of two causes: got %q, want %q", got, want)
	}
}

func TestOnlyRotasOwnActionsOnSecretsAreCommands(t *testing.T) {
	const hostile = "x; rm -rf ~"
	for _, c := range []struct {
		name   string
		remedy rota.Remedy
		want   string
	}{
		{"an action", rota.Remedy{Action: rota.RemedyResume, Secret: "prod/app", Text: "once it's fixed"}, "broken (try: `rota resume prod/app` once it's fixed)"},
		{"an action on no secret", rota.Remedy{Action: rota.RemedyThaw}, "broken (try: rota thaw)"},
		{"an unknown action", rota.Remedy{Action: "zzz", Secret: "app"}, "broken"},
		{"an unknown action with a text", rota.Remedy{Action: "zzz", Secret: hostile, Text: "ask the operator"}, "broken (try: ask the operator)"},
		{"no action", rota.Remedy{Secret: "app"}, "broken"},
		{"an invalid name", rota.Remedy{Action: rota.RemedyRotate, Secret: hostile}, "broken"},
		{"an invalid name of a given credential", rota.Remedy{Action: rota.RemedyAdoptGiven, Secret: hostile}, "broken"},
		{"an invalid name where none is needed", rota.Remedy{Action: rota.RemedyThaw, Secret: hostile}, "broken"},
		{"a name that is a flag", rota.Remedy{Action: rota.RemedyRotate, Secret: "--yes"}, "broken"},
		{"no name", rota.Remedy{Action: rota.RemedyDelete}, "broken"},
		{"an unknown action that follows", rota.Remedy{Action: rota.RemedyOutside, Text: "allow it", Then: "zzz", Secret: "app"}, "broken (try: allow it)"},
		{"an action after an unknown one", rota.Remedy{Action: "zzz", Then: rota.RemedyResume, Secret: "app"}, "broken (try: rota resume app)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			remedies := []rota.Remedy{c.remedy}
			if got := hint.Add("broken", remedies); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got, want := hint.Line(remedies), strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(c.want, "broken"), " ("), ")"); got != want {
				t.Errorf("the line is %q, want %q", got, want)
			}
		})
	}
	typo := append([]rota.Remedy{{Action: "zzz"}}, rota.Correct("shop")...)
	if got, want := hint.Line(typo), `did you mean "shop"?`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What can be typed is a remedy of its own: an action of Rota's, or a command and
// nothing else, which can be copied as it stands.
func TestNoRemedySpellsOutACommandInProse(t *testing.T) {
	command := regexp.MustCompile(`\brota (access|adopt|audit|check|deactivate|delete|deliver|discover|done|get|history|init|migrate|plan|policy|resume|rollback|rotate|run|serve|status|thaw|validate|versions)\b`)
	prose := regexp.MustCompile(`[;,]|\b(or|and|then|one of|without|instead)\b`)
	eachFile(t, func(files *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := f.X.(*ast.Ident); !ok || pkg.Name != "rota" || f.Sel.Name != "Outside" && f.Sel.Name != "Configure" && f.Sel.Name != "Command" {
				return true
			}
			for _, arg := range call.Args {
				ast.Inspect(arg, func(n ast.Node) bool {
					lit, ok := n.(*ast.BasicLit)
					if !ok || lit.Kind != token.STRING {
						return true
					}
					switch text, _ := strconv.Unquote(lit.Value); {
					case f.Sel.Name == "Command" && prose.MatchString(text):
						t.Errorf("%s: %s can't be typed as it stands: use rota.Outside, or several commands", files.Position(lit.Pos()), lit.Value)
					case f.Sel.Name != "Command" && command.MatchString(text):
						t.Errorf("%s: %s has a command in it: use a remedy with one of Rota's actions, or rota.Command", files.Position(lit.Pos()), lit.Value)
					}
					return true
				})
			}
			return true
		})
	})
}

// A hint is a value until it's shown: only what renders remedies spells it out.
func TestNoTextSpellsOutAHint(t *testing.T) {
	eachFile(t, func(files *token.FileSet, file *ast.File) {
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
	})
}

// eachFile parses every file of the module, except for tests and what renders
// remedies.
func eachFile(t *testing.T, look func(*token.FileSet, *ast.File)) {
	t.Helper()
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
		look(files, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 100 {
		t.Errorf("only %d files were read", seen)
	}
}

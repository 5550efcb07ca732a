package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsMutated(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".", map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n"})
	var all []*pkg
	for name, test := range map[string]struct {
		code string
		want []string
	}{
		"a condition is forced both ways": {
			"func f(a int) int { if a == 1 { return 2 }; return 3 }",
			[]string{"never true | a == 1", "always true | a == 1"},
		},
		"a negation is forced as a whole": {
			"func f(a bool) int { if !a { return 2 }; return 3 }",
			[]string{"never true | !a", "always true | !a"},
		},
		"a conjunction never holds, and each part always": {
			"func f(a, b bool) bool { return a && b }",
			[]string{"never true | a && b", "always true | a", "always true | b"},
		},
		"a disjunction always holds, and each part never": {
			"func f(a, b bool) bool { return a || b }",
			[]string{"always true | a || b", "never true | a", "never true | b"},
		},
		"a longer chain has no mutant twice": {
			"func f(a, b, c bool) bool { return a && b && c }",
			[]string{"never true | a && b && c", "always true | a", "always true | b", "always true | c"},
		},
		"a chain within another is forced the other way": {
			"func f(a, b, c bool) bool { return a && (b || c) }",
			[]string{"never true | a && (b || c)", "always true | a", "always true | (b || c)", "never true | b", "never true | c"},
		},
		"a boundary is moved": {
			"func f(a int) bool { return a >= 1 }",
			[]string{"never true | a >= 1", "always true | a >= 1", "> instead of >= | a >= 1"},
		},
		"a moment is moved": {
			"func f(a, b time.Time) bool { return a.Add(1).Before(b) }",
			[]string{"never true | a.Add(1).Before(b)", "always true | a.Add(1).Before(b)", "also if equal | a.Add(1).Before(b)"},
		},
		"a loop isn't made endless": {
			"func f(a int) { for a > 1 { a-- } }",
			[]string{"never true | a > 1", ">= instead of > | a > 1", "dropped | a--"},
		},
		"a constant answer is turned around": {
			"func f() (bool, error) { return true, nil }",
			[]string{"false instead of | true"},
		},
		"a case without a tag is a condition": {
			"func f(a int) int { switch { case a == 1: return 2; default: return 3 } }",
			[]string{"never true | a == 1", "always true | a == 1"},
		},
		"a case with a tag isn't": {
			"func f(a int) int { switch a { case 1: return 2; default: return 3 } }",
			nil,
		},
		"statements are dropped unless something needs them": {
			"func f(a []int) int { b := 1; b = 2; b++; a[0] = b; defer g(); go g(); g(); _ = a; return b }; func g() {}",
			[]string{"dropped | b = 2", "dropped | b++", "dropped | a[0] = b", "dropped | defer g()", "dropped | go g()", "dropped | g()"},
		},
		"logging and panics stay": {
			"func f() { slog.Info(`x`); log.Print(`x`); panic(1) }",
			nil,
		},
		"functions within functions are mutated too": {
			"func f(a int) func() bool { return func() bool { return a == 1 } }",
			[]string{"never true | a == 1", "always true | a == 1"},
		},
		"a method is named after its type": {
			"type s struct{}; func (*s) f(a []int) { clear(a) }",
			[]string{"dropped | clear(a)"},
		},
		"what's the same is numbered": {
			"func f(a []int) { clear(a); clear(a) }",
			[]string{"dropped | clear(a)", "dropped | clear(a) | 2"},
		},
		"nothing outside of functions is": {
			"const a = 1 > 2; var b = 1 > 2; func f() { const c = 2 > 1; var _ = c }",
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fmt.Sprintf("case%d", len(all))
			write(t, ".", map[string]string{
				dir + "/a.go": "package m\n\nimport (\"log\"; \"log/slog\"; \"time\")\n\nvar _, _, _ = log.Print, slog.Info, time.Now\n\n" + strings.ReplaceAll(test.code, "; func", "\nfunc") + "\n",
			})
			packages, err := findPackages([]string{dir})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, packages...)
			var mutants []*mutant
			if err := packages[0].instrument(&mutants); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range mutants {
				_, rest, _ := strings.Cut(m.String(), " | ")
				got = append(got, rest)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	overlay, err := writeOverlay(t.TempDir(), all)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "./...").CombinedOutput(); err != nil {
		t.Errorf("with mutants it doesn't compile: %v\n%s", err, out)
	}
}

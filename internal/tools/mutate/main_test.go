package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write puts files into a folder.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// module is a package whose tests notice some mutants but not others, and
// another one whose tests notice one more.
func module(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26\n",
		"age/age.go": `package age

import "log/slog"

// Counted is how many were asked about.
var Counted int

// Adult reports whether somebody is of age.
func Adult(years int) bool {
	Counted++
	slog.Info("asked")
	return years >= 18
}

// Fare is what a trip costs.
func Fare(years int) int {
	if years < 6 {
		return 0
	}
	return 3
}

func forgotten(years int) bool { return years > 3 }
`,
		"age/age_test.go": `package age

import "testing"

func TestAdult(t *testing.T) {
	if !Adult(18) || Adult(17) {
		t.Error("wrong")
	}
}

func TestFare(t *testing.T) {
	if Fare(5) != 0 || Fare(7) != 3 {
		t.Error("wrong")
	}
}
`,
		"census/census_test.go": `package census

import (
	"testing"

	"example.com/m/age"
)

func TestEverybodyIsCounted(t *testing.T) {
	age.Adult(1)
	if age.Counted != 1 {
		t.Error("wrong")
	}
}
`,
	})
	t.Chdir(dir)
}

// mutateAll runs the command and returns its exit code and what it printed,
// without the times.
func mutateAll(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out, errs strings.Builder
	code := run(t.Context(), args, &out, &errs)
	var lines []string
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, " left, ") {
			line = line[:strings.LastIndex(line, ", ")] + "\n"
		}
		lines = append(lines, line)
	}
	return code, strings.Join(lines, "") + errs.String()
}

func TestSurvivorsAreShownWithWhereTheyAreAndWhatTheyDo(t *testing.T) {
	module(t)
	code, got := mutateAll(t, "age")
	want := `age: 10 mutants, 5 left
age/age.go:10:2: Adult | dropped | Counted++
age/age.go:17:5: Fare | <= instead of < | years < 6
age/age.go:23:41: forgotten | never true | years > 3 (no test gets there)
age/age.go:23:41: forgotten | always true | years > 3 (no test gets there)
age/age.go:23:41: forgotten | >= instead of > | years > 3 (no test gets there)
age: 10 mutants, 0 equivalent; own tests kill 5 of 10 (50.0 %); 5 survive everything
`
	if diff := cmp.Diff(want, got); diff != "" || code != 1 {
		t.Errorf("exit code %d, want 1:\n%s", code, diff)
	}
}

func TestAFurtherStageGetsWhatThePackagesOwnTestsLetThrough(t *testing.T) {
	module(t)
	_, got := mutateAll(t, "-then", "-run TestEverybody ./census", "age/age.go")
	if !strings.Contains(got, "census: 5 mutants, 4 left\n") || strings.Contains(got, "Counted++") || !strings.Contains(got, "own tests kill 5 of 10 (50.0 %); 4 survive everything") {
		t.Error(got)
	}
}

func TestMutantsListedAsEquivalentMaySurvive(t *testing.T) {
	module(t)
	write(t, ".", map[string]string{"list.txt": `# why they change nothing
age/age.go | Adult | dropped | Counted++ — nobody reads it
age/age.go | Fare | <= instead of < | years < 6 — everybody of 6 has a birthday party
age/age.go | forgotten | never true | years > 3 — it's dead
age/age.go | forgotten | always true | years > 3 — it's dead
age/age.go | forgotten | >= instead of > | years > 3 — it's dead
other/other.go | F | dropped | x++ — of a file that isn't looked at
`})
	code, got := mutateAll(t, "-equivalent", "list.txt", "-need", "100", "age")
	if code != 0 || !strings.Contains(got, "5 equivalent; own tests kill 5 of 5 (100.0 %); 0 survive") {
		t.Errorf("exit code %d: %s", code, got)
	}
}

func TestAListThatIsWrongIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		list, want string
	}{
		"the tests notice it":   {"age/age.go | Fare | never true | years < 6 — it's rare\n", "listed as equivalent, but age notices it: age/age.go | Fare | never true | years < 6"},
		"the code has changed":  {"age/age.go | Fare | never true | years < 7 — it's rare\n", "list.txt:1: there's no such mutant (anymore): age/age.go | Fare | never true | years < 7"},
		"there is no reason":    {"age/age.go | Fare | never true | years < 6\n", "list.txt:1: it doesn't say why"},
		"it's listed twice":     {"a | b — c\na | b — d\n", "list.txt:2: it's listed twice"},
		"there is no such file": {"", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			module(t)
			if test.list != "" {
				write(t, ".", map[string]string{"list.txt": test.list})
			}
			code, got := mutateAll(t, "-equivalent", "list.txt", "-need", "1", "age")
			if code == 0 || !strings.Contains(got, test.want) {
				t.Errorf("exit code %d, %q, want %q", code, got, test.want)
			}
		})
	}
}

func TestTooFewKilledIsAFailure(t *testing.T) {
	module(t)
	for need, want := range map[string]int{"49.9": 0, "50": 0, "50.1": 1} {
		if code, got := mutateAll(t, "-need", need, "age"); code != want {
			t.Errorf("-need %s: exit code %d, want %d: %s", need, code, want, got)
		}
	}
}

func TestNoMutantIsStartedWhenTheTimeIsOver(t *testing.T) {
	module(t)
	_, got := mutateAll(t, "-limit", "1ns", "age")
	if !strings.Contains(got, "own tests kill 0 of 10 (0.0 %); 0 survive everything; for 10 there was no time") {
		t.Error(got)
	}
}

func TestTestsThatFailWithoutAMutantAreAnError(t *testing.T) {
	module(t)
	write(t, ".", map[string]string{"age/bad_test.go": "package age\n\nimport \"testing\"\n\nfunc TestBad(t *testing.T) { t.Fatal(\"it rains\") }\n"})
	if code, got := mutateAll(t, "age"); code != 2 || !strings.Contains(got, "without a mutant, TestBad of age fails") || !strings.Contains(got, "it rains") {
		t.Errorf("exit code %d: %s", code, got)
	}
}

func TestHangingIsNoticed(t *testing.T) {
	if got := patience(time.Minute); got < time.Minute {
		t.Errorf("after %s, sooner than the tests take without a mutant", got)
	}
}

func TestNothingToMutateIsAnError(t *testing.T) {
	module(t)
	for _, args := range [][]string{{}, {"age/age_test.go"}, {"nowhere"}} {
		if code, got := mutateAll(t, args...); code != 2 {
			t.Errorf("%q: exit code %d: %s", args, code, got)
		}
	}
}

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/rotation"
)

func TestEscapeLeavesWhatATerminalOnlyShows(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"plain text", "permission denied", "permission denied"},
		{"letters, symbols and tabs", "Zürich\t日本 ✓ \ufffd", "Zürich\t日本 ✓ \ufffd"},
		{"a clear screen", "\x1b[2J", `\x1b[2J`},
		{"a window title", "\x1b]0;owned\x07", `\x1b]0;owned\a`},
		{"line breaks", "a\r\nb", `a\r\nb`},
		{"a delete", "a\x7f", `a\x7f`},
		{"a C1 control", "\u009b2J", `\u009b2J`},
		{"a C1 control that isn't UTF-8", "\x9b2J", `\x9b2J`},
		{"a writing direction", "\u202egpj\u2066", `\u202egpj\u2066`},
		{"Unicode's line breaks", "a\u2028b\u2029", `a\u2028b\u2029`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := escape(c.value); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// hostile is what a system may answer to take over the terminal it's shown on.
const hostile = "no\x1b[2J\x1b]0;x\x07\u009b31m\u202e\x9b\nrota: done"

func TestWhatOthersSayIsPrintedEscaped(t *testing.T) {
	remedies := append([]rota.Remedy{{Action: hostile, Text: hostile}}, rota.Outside(hostile)...)
	step := []api.StepDoc{{Step: hostile, Credential: hostile, Reason: hostile, Remedies: remedies}}
	for _, c := range []struct {
		name  string
		print func(a *app)
		lines int
	}{
		{"an error", func(a *app) { a.exit(rota.WithRemedies(errors.New(hostile), remedies)) }, 1},
		{"joined errors", func(a *app) {
			a.exit(fmt.Errorf("prod: %w", errors.Join(errors.New(hostile), errors.New(hostile))))
		}, 2},
		{"an error along the way", func(a *app) { a.noteError(rota.WithRemedies(errors.New(hostile), remedies)) }, 1},
		{"a message", func(a *app) { a.note("%s", hostile) }, 1},
		{"a format's error and named string", func(a *app) { a.printf("%v %s", errors.New(hostile), api.WorkState(hostile)) }, 1},
		{"a check", func(a *app) {
			a.reportGroup(groups([]api.FindingDoc{{Secret: hostile, Finding: rota.Finding{Check: hostile, Detail: hostile, Remedies: remedies}}})[0])
		}, 2},
		{"a check that fails in several places", func(a *app) {
			f := rota.Finding{Check: hostile, Detail: hostile, Remedies: remedies}
			a.reportGroup(groups([]api.FindingDoc{{Secret: hostile, Finding: f}, {Secret: hostile + "2", Finding: f}})[0])
		}, 3},
		{"a failed secret", func(a *app) {
			a.reportSecret(api.WorkSecretDoc{Secret: hostile, State: hostile, Error: hostile, Remedies: remedies})
		}, 3},
		{"a held secret", func(a *app) {
			a.reportSecret(api.WorkSecretDoc{Secret: hostile, Hold: rotation.HoldFrozen, Reason: hostile, Remedies: remedies})
		}, 2},
		{"the status", func(a *app) {
			a.printStatus(api.StatusDoc{Secrets: []api.StatusSecretDoc{{Secret: hostile, Reason: hostile, Remedies: remedies}}, Frozen: hostile, Unknown: []string{hostile}})
		}, 6},
		{"the plan", func(a *app) {
			a.printPlan(api.PlanDoc{Secrets: []api.PlanSecretDoc{{Secret: hostile, Error: hostile, Remedies: remedies, Steps: step}}})
		}, 6},
	} {
		for name, s := range map[string]style{"without color": {width: 1000}, "in color": {terminal: true, color: true, width: 1000}} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				var out bytes.Buffer
				a := newApp(Program{Stdout: &out, Stderr: &out, Stdin: strings.NewReader("")})
				a.outStyle, a.errStyle = s, s
				c.print(a)
				text := strings.NewReplacer("\x1b[0m", "", "\x1b[1m", "", "\x1b[31m", "", "\x1b[33m", "").Replace(out.String())
				if !strings.Contains(text, `no\x1b[2J\x1b]0;x\a\u009b31m\u202e\x9b\nrota: done`) {
					t.Errorf("the value isn't shown: %q", text)
				}
				if n := strings.Count(text, "\n"); n != c.lines {
					t.Errorf("%d lines, want %d: %q", n, c.lines, text)
				}
				if strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), func(r rune) bool { return unicode.IsControl(r) || r == '\u202e' || r == '\ufffd' }) {
					t.Errorf("a control character is printed: %q", text)
				}
				if s.color && strings.HasPrefix(c.name, "the ") && text == out.String() {
					t.Error("the colors are gone")
				}
			})
		}
	}
}

func TestATableCountsEscapedValues(t *testing.T) {
	var out bytes.Buffer
	a := newApp(Program{Stdout: &out, Stderr: io.Discard})
	a.table([]string{"A", "B"}, [][]cell{cells("\x1b", "x"), cells("long", "y")})
	if diff := cmp.Diff("A     B\n\\x1b  x\nlong  y\n", out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/rota-dev/rota"
)

// The rules for output: results go to stdout, as one JSON document with
// --output json. Questions, progress and errors go to stderr. Colors and
// non-ASCII symbols are for terminals only.

// style is what a stream can display.
type style struct{ terminal, color, unicode bool }

func (a *app) styleOf(w io.Writer) style {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return style{}
	}
	dumb := a.environment["TERM"] == "dumb"
	return style{
		terminal: true,
		color:    !a.noColor && a.environment["NO_COLOR"] == "" && !dumb,
		unicode:  !dumb && a.utf8Locale(),
	}
}

func (a *app) utf8Locale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := a.environment[name]; value != "" {
			value = strings.ToUpper(value)
			return strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8")
		}
	}
	return false
}

// color is an ANSI code.
type color string

const (
	plain  color = ""
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	bold   color = "1"
	faint  color = "2"
)

// paint escapes a value and gives it a color.
func (a *app) paint(s style, c color, text string) painted {
	text = escape(text)
	if !s.color || c == plain || text == "" {
		return painted(text)
	}
	return painted("\x1b[" + string(c) + "m" + text + "\x1b[0m")
}

// symbol is a mark at the start of a line.
func (s style) symbol(unicode, ascii string) string {
	if s.unicode {
		return unicode
	}
	return ascii
}

// document prints the one JSON document of --output json.
func (a *app) document(v any) error {
	e := json.NewEncoder(a.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printf prints a line of the result.
func (a *app) printf(format string, args ...any) {
	escapeAll(args)
	fmt.Fprintf(a.Stdout, format+"\n", args...)
}

// cell is text in a table, with its color.
type cell struct {
	text  string
	color color
}

func cells(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, t := range texts {
		row[i] = cell{text: t}
	}
	return row
}

// table prints rows under a header, in columns two spaces apart. Empty
// columns are left out. (Unlike text/tabwriter, it doesn't count color codes
// as width.)
func (a *app) table(header []string, rows [][]cell) {
	for _, row := range rows {
		for i := range row {
			row[i].text = escape(row[i].text) // before its width is taken
		}
	}
	head := make([]cell, len(header))
	for i, h := range header {
		head[i] = cell{h, bold}
	}
	width := make([]int, len(header))
	for _, row := range rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range append([][]cell{head}, rows...) {
		var line strings.Builder
		blanks := 0
		for i, c := range row {
			if width[i] == 0 {
				continue
			}
			n := utf8.RuneCountInString(c.text)
			if n > 0 {
				line.WriteString(strings.Repeat(" ", blanks))
				line.WriteString(string(a.paint(a.outStyle, c.color, c.text)))
				blanks = 0
			}
			blanks += max(width[i], utf8.RuneCountInString(header[i])) - n + 2
		}
		a.printf("%s", painted(line.String()))
	}
}

// at is a time in the terminal's time zone.
func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

// relative is a time relative to now.
func relative(t, now time.Time) string {
	switch d := t.Sub(now); {
	case t.IsZero():
		return ""
	case d > -time.Minute && d < time.Minute:
		return "now"
	case d > 0:
		return "in " + rota.FormatDuration(rounded(d))
	default:
		return rota.FormatDuration(rounded(-d)) + " ago"
	}
}

// rounded rounds a duration to the unit shown, so that an hour less than 30
// days doesn't read as 29.
func rounded(d time.Duration) time.Duration {
	switch {
	case d.Round(time.Minute) < rota.Day:
		return d.Round(time.Minute)
	case d.Round(time.Hour) < 2*rota.Day:
		return d.Round(time.Hour)
	default:
		return d.Round(rota.Day)
	}
}

// because is a step's reason next to the step's name, which isn't repeated.
func because(step rota.Step, reason string) string {
	return strings.TrimPrefix(reason, string(step)+" ")
}

// when is a time in both forms.
func when(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return at(t) + " (" + relative(t, now) + ")"
}

// plural is a count of things: "1 secret", "3 secrets".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

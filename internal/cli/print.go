package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/rota-dev/rota"
)

// The rules for output: results go to stdout, as one JSON document with
// --output json. Questions, progress and errors go to stderr. Colors and
// non-ASCII symbols are for terminals only.

// style is what a stream can display, and how many columns its tables may have.
type style struct {
	terminal, color, unicode bool
	width                    int
}

// The number of columns of a terminal that doesn't say, and the fewest that
// tables are laid out for.
const (
	usualWidth = 80
	leastWidth = 40
)

func (a *app) styleOf(w io.Writer) style {
	width, err := strconv.Atoi(a.environment["COLUMNS"])
	if err != nil {
		width = usualWidth
	}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return style{width: max(width, leastWidth)}
	}
	if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
		width = columns
	}
	dumb := a.environment["TERM"] == "dumb"
	return style{
		terminal: true,
		width:    max(width, leastWidth),
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

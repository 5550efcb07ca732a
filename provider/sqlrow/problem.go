package sqlrow

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rota-dev/rota"
)

// problem is something wrong with a statement, at one of its bytes. hint is what to
// write instead, or "".
func problem(text string, at int, hint, format string, args ...any) error {
	before := text[:at]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	where := fmt.Sprintf("line %d, column %d of the statement: ", line, column)
	if !strings.Contains(strings.TrimRight(text, "\n"), "\n") {
		where = fmt.Sprintf("column %d of the statement: ", column)
	}
	return rota.WithRemedies(fmt.Errorf(where+format, args...), rota.Configure("", hint))
}

// Hide takes values out of a server's message. Servers cut long values short, so
// the beginning of one counts too, if it's long enough not to be anything else.
func Hide(message string, values map[string]string) string {
	for _, value := range values {
		for n := len(value); n >= shortest; n-- {
			message = strings.ReplaceAll(message, value[:n], "[redacted]")
		}
	}
	return message
}

// shortest is the length of the shortest beginning of a value that's recognized.
const shortest = 6

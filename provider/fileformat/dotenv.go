package fileformat

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rota-dev/rota"
)

// assignment is one KEY=value in a dotenv file: its position, its value's
// position, and the key it sets.
type assignment struct {
	key        string
	start, end int // all of it, including the line ending
	value      [2]int
}

var (
	dotenvKey  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	dotenvLine = regexp.MustCompile(`^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)=`)
	// exportLine exports an earlier assignment; it sets nothing.
	exportLine = regexp.MustCompile(`^[ \t]*export([ \t]+[A-Za-z_][A-Za-z0-9_]*)+[ \t]*(#.*)?$`)
	plainValue = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)
)

// mergeDotenv puts values into a dotenv file. Assignments to other keys, blank
// lines and comments stay as they are; new keys come last, sorted.
func mergeDotenv(existing []byte, values map[string]string) ([]byte, error) {
	text := string(existing)
	assignments, err := readDotenv(text)
	if err != nil {
		return nil, err
	}
	quoted := make(map[string]string, len(values))
	for key, value := range values {
		if err := checkName(Dotenv, key); err != nil {
			return nil, err
		}
		if quoted[key], err = quoteDotenv(value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}

	var out strings.Builder
	done := map[string]bool{}
	at := 0
	for _, a := range assignments {
		value, ours := quoted[a.key]
		switch {
		case !ours:
			continue
		case done[a.key]: // a second one would win over the first
			out.WriteString(text[at:a.start])
			at = a.end
		default:
			out.WriteString(text[at:a.value[0]])
			out.WriteString(value)
			at = a.value[1]
			done[a.key] = true
		}
	}
	out.WriteString(text[at:])
	newline := "\n"
	if strings.Contains(text, "\r\n") {
		newline = "\r\n"
	}
	if s := out.String(); s != "" && !strings.HasSuffix(s, "\n") && len(done) < len(quoted) {
		out.WriteString(newline)
	}
	for _, key := range slices.Sorted(maps.Keys(quoted)) {
		if !done[key] {
			out.WriteString(key + "=" + quoted[key] + newline)
		}
	}
	return []byte(out.String()), nil
}

// quoteDotenv writes a value so that shells and dotenv libraries read the
// same: bare, in single quotes, or in double quotes with \\ and \" escaped. A
// value that they'd read differently in every form is an error: some readers
// would get a different password.
func quoteDotenv(value string) (string, error) {
	refuse := func(why string) (string, error) {
		return "", rota.WithRemedies(errors.New("the value contains "+why), rota.Configure("", "the json format, {field|base64}, or a password without such characters"))
	}
	switch {
	case !utf8.ValidString(value) || strings.ContainsAny(value, "\x00\r"):
		return refuse("NUL, CR or invalid UTF-8, which dotenv can't hold")
	case plainValue.MatchString(value):
		return value, nil
	case !strings.ContainsAny(value, `'\`):
		return "'" + value + "'", nil
	case !strings.ContainsAny(value, "$`"):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`, nil
	}
	return refuse("' or \\ as well as $ or `, which shells and dotenv libraries read differently")
}

// readDotenv finds the assignments of a dotenv file, as a shell would.
func readDotenv(text string) ([]assignment, error) {
	refuse := func(at int, why string) error {
		return rota.WithRemedies(fmt.Errorf("line %d: %s, and so not overwritten", 1+strings.Count(text[:at], "\n"), why), rota.Outside("correct the file, or move it away"))
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, refuse(0, "not UTF-8 text")
	}
	for at := 0; at < len(text); at++ {
		if text[at] == '\r' && !strings.HasPrefix(text[at+1:], "\n") {
			return nil, refuse(at, "a CR that isn't part of a line ending")
		}
	}
	var found []assignment
	for at := 0; at < len(text); {
		line := text[at:]
		if i := strings.IndexByte(line, '\n'); i >= 0 {
			line = line[:i]
		}
		content := strings.TrimSuffix(line, "\r")
		trimmed := strings.TrimLeft(content, " \t")
		if trimmed == "" || trimmed[0] == '#' || exportLine.MatchString(content) {
			at = min(at+len(line)+1, len(text))
			continue
		}
		m := dotenvLine.FindStringSubmatchIndex(content)
		if m == nil {
			return nil, refuse(at, "not KEY=value")
		}
		a := assignment{key: content[m[2]:m[3]], start: at}
		a.value[0] = at + m[1]
		end, why := valueEnd(text, a.value[0])
		if why != "" {
			return nil, refuse(at, why)
		}
		a.value[1] = end
		// After the value there may be spaces and a comment.
		rest := text[end:]
		if i := strings.IndexByte(rest, '\n'); i >= 0 {
			a.end = end + i + 1
		} else {
			a.end = len(text)
		}
		if tail := strings.TrimSpace(text[end:a.end]); tail != "" && tail[0] != '#' {
			// Several bare words: no shell accepts them, many libraries do.
			if strings.ContainsAny(tail, "'\"`\\") {
				return nil, refuse(at, "more than one word after KEY=")
			}
			a.value[1] = end + strings.Index(text[end:], tail) + len(tail)
		}
		found = append(found, a)
		at = a.end
	}
	return found, nil
}

// valueEnd is where the value that begins at start ends, or why that can't be
// told for sure.
func valueEnd(text string, start int) (int, string) {
	for i := start; i < len(text); i++ {
		switch c := text[i]; c {
		case '\n', '\r', ' ', '\t':
			return i, ""
		case '\\':
			if i++; i == len(text) || text[i] == '\n' || text[i] == '\r' {
				return 0, `a \ at the end of the line, which shells and dotenv libraries read differently`
			}
		case '\'':
			n := strings.IndexByte(text[i+1:], '\'')
			if n < 0 {
				return 0, "a ' without its end"
			}
			if n > 0 && text[i+n] == '\\' {
				return 0, `a \' within single quotes, which shells and dotenv libraries read differently`
			}
			i += n + 1
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if i >= len(text) {
				return 0, `a " without its end`
			}
		}
	}
	return len(text), ""
}

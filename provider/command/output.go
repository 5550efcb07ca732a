package command

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/rota-dev/rota"
)

// kept is how much of a program's output an error has. It's more than anyone
// wants to read, because whoever shows the error first removes values from it
// and then shortens it: half a value wouldn't be recognized.
const kept = 16 << 10

// tail keeps the end of what is written to it.
type tail struct {
	mu      sync.Mutex
	end     []byte
	dropped bool
	hidden  rota.Credential // what String leaves out
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	if over := len(t.end) - kept; over > 0 {
		t.end = append(t.end[:0], t.end[over:]...)
		t.dropped = true
	}
	return len(p), nil
}

// String is the output as an error shows it, "" if there was none.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := string(t.end)
	if end := strings.IndexAny(text, "\r\n"); t.dropped && end >= 0 {
		text = text[end+1:] // half a line may contain half a value
	} else if t.dropped && len(clean(text)) < kept/2 {
		text = "" // it's half a line, and so short that its beginning would be shown
	}
	text = clean(text)
	if text == "" && !t.dropped {
		return ""
	}
	if t.dropped {
		text = rota.Omission + text
	}
	return ": " + rota.Sanitize(errors.New(text), t.hidden).Error()
}

// terminal are the sequences that programs use for colors, titles and the like.
var terminal = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[ -/]*[0-~])")

// clean is a text without control sequences and what isn't UTF-8.
func clean(text string) string {
	text = terminal.ReplaceAllString(strings.ToValidUTF8(strings.ReplaceAll(text, "\r\n", "\n"), "�"), "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == '\r', r == '\u2028', r == '\u2029':
			return '\n'
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r): // C1 too, and what turns text around
			return -1
		}
		return r
	}, text))
}

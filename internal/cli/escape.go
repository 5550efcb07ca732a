package cli

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Much of what the program prints for people was said by someone else: a
// database's error, a server's answer, a command's output. A terminal obeys the
// control characters in such a value, so they're escaped on the way out. Only
// what the program writes itself has colors and line breaks. JSON isn't escaped
// further: it's data.

// painted is text whose values have been escaped, and that may have colors.
type painted string

// escape makes a value's control characters visible: "\x1b" for an escape, "\n"
// for a line break, "\u202e" for a change of the writing direction.
func escape(value string) string {
	if strings.IndexFunc(value, obeyed) < 0 {
		return value
	}
	var b strings.Builder
	for len(value) > 0 {
		r, size := utf8.DecodeRuneInString(value)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, value[0])
		case r != utf8.RuneError && obeyed(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteString(value[:size])
		}
		value = value[size:]
	}
	return b.String()
}

// obeyed reports whether a terminal might act on a character instead of showing
// it. Invalid UTF-8, which IndexFunc and DecodeRune report as U+FFFD, may be a
// control character in another encoding.
func obeyed(r rune) bool {
	return r == utf8.RuneError || r != '\t' && unicode.IsControl(r) ||
		unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// escapeAll escapes the values of a format.
func escapeAll(args []any) {
	for i, arg := range args {
		switch v := arg.(type) {
		case painted:
		case error:
			args[i] = escape(v.Error())
		default:
			if text := reflect.ValueOf(arg); text.Kind() == reflect.String {
				args[i] = escape(text.String())
			}
		}
	}
}

// escapeLines is escape for text that has several lines of its own.
func escapeLines(text string) painted {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = escape(lines[i])
	}
	return painted(strings.Join(lines, "\n"))
}

package rota

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// minRedacted is the length in bytes from which a value is taken for a secret. A
// shorter one is likely to appear by chance.
const minRedacted = 4

// minLine is the length in bytes from which a single line of a value with
// several lines, such as a private key, is removed by itself.
const minLine = 16

// redactValues removes values from a text wherever a reading of the text shows
// them. For example, a reload command that fails might print the file it reads,
// and that might be a Kubernetes Secret with values in base64.
func redactValues(text string, values []string) string {
	var wanted [][]byte
	for _, value := range values {
		wanted = append(wanted, []byte(value))
		if trimmed := strings.TrimSpace(value); len(trimmed) >= minRedacted && len(trimmed) < len(value) {
			wanted = append(wanted, []byte(trimmed))
		}
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); len(line) >= minLine && len(line) < len(value) {
				wanted = append(wanted, []byte(line))
			}
		}
	}
	if len(wanted) == 0 {
		return text
	}
	shortest := len(slices.MinFunc(wanted, func(a, b []byte) int { return len(a) - len(b) }))
	for _, value := range wanted[:len(wanted):len(wanted)] {
		wanted = append(wanted, utf16Forms(value)...)
	}
	secret := make([]bool, len(text)) // by byte of the text
	starts := make([]bool, len(text))
	for _, r := range readings(text, shortest) {
		for _, value := range wanted {
			for at := 0; ; {
				i := bytes.Index(r.text[at:], value)
				if i < 0 {
					break
				}
				from, to := r.place(at+i, at+i+len(value))
				starts[from] = starts[from] || !secret[from]
				for ; from < to; from++ {
					secret[from] = true
				}
				at += i + len(value)
			}
		}
	}
	var out strings.Builder
	for i := range len(text) {
		switch {
		case !secret[i]:
			out.WriteByte(text[i])
		case i == 0 || !secret[i-1] || starts[i]:
			out.WriteString(redacted)
		}
	}
	return out.String()
}

// utf16Forms returns a value in UTF-16 with the low byte first and with the high
// one first, also as they look once a program's output was made valid UTF-8.
func utf16Forms(value []byte) [][]byte {
	var little, big []byte
	for _, unit := range utf16.Encode([]rune(string(value))) {
		little = binary.LittleEndian.AppendUint16(little, unit)
		big = binary.BigEndian.AppendUint16(big, unit)
	}
	forms := [][]byte{little, big}
	for _, form := range forms {
		if !utf8.Valid(form) {
			forms = append(forms, bytes.ToValidUTF8(form, []byte(string(utf8.RuneError))))
		}
	}
	return forms
}

// redactWord removes a short value from a text where it isn't part of a longer
// word.
func redactWord(text, value string) string {
	if value == "" {
		return text
	}
	first, _ := utf8.DecodeRuneInString(value)
	last, _ := utf8.DecodeLastRuneInString(value)
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, value)
		if !found {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(before)
		left, _ := utf8.DecodeLastRuneInString(out.String())
		right, _ := utf8.DecodeRuneInString(after)
		if isWord(left) && isWord(first) || isWord(last) && isWord(right) {
			out.WriteString(value)
		} else {
			out.WriteString(redacted)
		}
		text = after
	}
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

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

// minPart is the length in bytes from which part of a value is removed: a value
// without the punctuation around it, or as much as is left of it where a text was
// cut short.
const minPart = 8

// redactValues removes values from a text wherever a reading of the text shows
// them. For example, a reload command that fails might print the file it reads,
// and that might be a Kubernetes Secret with values in base64.
func redactValues(text string, values []string) string {
	var wanted [][]byte
	for _, value := range values {
		wanted = append(wanted, wantedOf(value)...)
	}
	if len(wanted) == 0 {
		return text
	}
	shortest := min(minPart, len(slices.MinFunc(wanted, func(a, b []byte) int { return len(a) - len(b) })))
	whole := len(wanted)
	for _, value := range wanted[:whole:whole] {
		wanted = append(wanted, utf16Forms(value)...)
	}
	secret := make([]bool, len(text)) // by byte of the text
	starts := make([]bool, len(text))
	mark := func(r reading, from, to int) {
		from, to = r.place(from, to)
		starts[from] = starts[from] || !secret[from]
		for ; from < to; from++ {
			secret[from] = true
		}
	}
	for _, r := range readings(text, shortest) {
		for _, value := range wanted {
			for at := 0; ; {
				i := bytes.Index(r.text[at:], value)
				if i < 0 {
					break
				}
				mark(r, at+i, at+i+len(value))
				at += i + len(value)
			}
		}
		for _, at := range r.cuts() {
			for _, value := range wanted[:whole] {
				if n := cutOff(r.text[:at], value); n > 0 {
					mark(r, at-n, at)
				}
				if n := leftOver(r.text[at:], value); n > 0 {
					mark(r, at, at+n)
				}
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

// wantedOf returns a value, and what's left of it once a program has trimmed it or
// shown only one of its lines.
func wantedOf(value string) [][]byte {
	wanted := [][]byte{[]byte(value)}
	add := func(part string, least int) {
		if len(part) >= least && len(part) < len(value) {
			wanted = append(wanted, []byte(part))
		}
	}
	add(strings.TrimSpace(value), minRedacted)
	add(strings.TrimFunc(value, func(r rune) bool { return !isWord(r) }), minPart)
	for line := range strings.Lines(value) {
		add(strings.TrimSpace(line), minLine)
	}
	return wanted
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

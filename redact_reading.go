package rota

import (
	"bytes"
	"html"
	"slices"
	"strconv"
	"unicode/utf8"
)

// reading is what a text says once some encoding is undone, and from which bytes
// of the text each of its own bytes comes.
type reading struct {
	text     []byte
	from, to []int32
	lines    bool // a program wrote its line breaks: they aren't decoded bytes
}

// between stands between the parts of a reading that don't belong together: a byte
// that no text in UTF-8 has, nor, unlike 0, its characters in UTF-16.
const between = 0xff

func (r *reading) add(of reading, from, to int, decoded ...byte) {
	for _, b := range decoded {
		r.text = append(r.text, b)
		r.from = append(r.from, of.from[from])
		r.to = append(r.to, of.to[to-1])
	}
}

// place returns where in the text a part of the reading comes from.
func (r *reading) place(from, to int) (start, end int) {
	return int(slices.Min(r.from[from:to])), int(slices.Max(r.to[from:to]))
}

// cuts returns where a reading was, or may have been, cut short: at its ends and
// where an [Omission] stands.
func (r *reading) cuts() []int {
	at := []int{0, len(bytes.TrimSuffix(r.text, []byte{between}))}
	for from := 0; ; {
		i := bytes.Index(r.text[from:], []byte(Omission))
		if i < 0 {
			return at
		}
		at = append(at, from+i, from+i+len(Omission))
		from += i + len(Omission)
	}
}

// cutOff returns how much of the beginning of a value a text ends with, 0 if that's
// the whole value or too little.
func cutOff(text, value []byte) int {
	for n := min(len(text), len(value)-1); n >= minPart; n-- {
		if bytes.HasSuffix(text, value[:n]) {
			return n
		}
	}
	return 0
}

// leftOver returns how much of the end of a value a text begins with, as cutOff does.
func leftOver(text, value []byte) int {
	for n := min(len(text), len(value)-1); n >= minPart; n-- {
		if bytes.HasPrefix(text, value[len(value)-n:]) {
			return n
		}
	}
	return 0
}

const (
	// maxDepth is how many encodings on top of each other are undone, such as
	// JSON in a URL in base64.
	maxDepth = 3
	// maxRead bounds the size of all readings of one text together.
	maxRead = 4 << 20
)

// A decoder undoes one encoding where that may show a value of the given length or
// longer. It returns every way to do so, none if the encoding isn't there.
type decoder func(r reading, shortest int) []reading

var decoders = []decoder{
	unescape, unquote, unpercent(false), unpercent(true), unentity,
	unwrap, undump(false), undump(true), unlist,
	undigit(hexDigits), undigit(base64Digits), undigit(base32Digits),
}

// some returns the reading if there's something to it.
func some(r reading, changed bool) []reading {
	if !changed {
		return nil
	}
	return []reading{r}
}

// readings returns every way to read a text that may show a value of the given
// length or longer, starting with the text itself.
func readings(text string, shortest int) []reading {
	plain := reading{text: []byte(text), from: make([]int32, len(text)), to: make([]int32, len(text)), lines: true}
	for i := range len(text) {
		plain.from[i], plain.to[i] = int32(i), int32(i+1)
	}
	all, known, size := []reading{plain}, map[string]bool{text: true}, len(text)
	last := all
	for range maxDepth {
		var next []reading
		for _, r := range last {
			for _, decode := range decoders {
				for _, d := range decode(r, shortest) {
					if len(d.text) < shortest || known[string(d.text)] || size+len(d.text) > maxRead {
						continue
					}
					known[string(d.text)] = true
					size += len(d.text)
					next = append(next, d)
				}
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

// unescape undoes backslashes, as in JSON, most programming languages and shells.
func unescape(r reading, _ int) []reading {
	if bytes.IndexByte(r.text, '\\') < 0 {
		return nil
	}
	out := reading{lines: r.lines}
	changed := false
	for i := 0; i < len(r.text); {
		rest := r.text[i:]
		n, decoded := 1, []byte{rest[0]}
		if rest[0] == '\\' && len(rest) > 1 {
			n, decoded = escapeSequence(rest)
		}
		changed = changed || n > 1
		out.add(r, i, i+n, decoded...)
		i += n
	}
	return some(out, changed)
}

// escapes are the letters that stand for a control character.
var escapes = map[byte]byte{'a': 7, 'b': 8, 't': 9, 'n': 10, 'v': 11, 'f': 12, 'r': 13, 'e': 27}

// escapeSequence returns what a backslash and what follows it stand for, and how
// long that is.
func escapeSequence(text []byte) (n int, decoded []byte) {
	c := text[1]
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	switch {
	case c == '\n': // a line that goes on
		return 2, nil
	case '0' <= c && c <= '7':
		n = 1
		for n < 4 && n < len(text) && '0' <= text[n] && text[n] <= '7' {
			n++
		}
		code, _ := strconv.ParseUint(string(text[1:n]), 8, 16)
		return n, []byte{byte(code)}
	case digits > 0 && len(text) >= 2+digits:
		code, err := strconv.ParseUint(string(text[2:2+digits]), 16, 32)
		if err == nil && c == 'x' {
			return 2 + digits, []byte{byte(code)}
		}
		if err == nil {
			return surrogates(text, 2+digits, rune(code))
		}
	}
	if control, ok := escapes[c]; ok {
		return 2, []byte{control}
	}
	return 2, []byte{c}
}

// surrogates completes a character that JSON writes as two halves of UTF-16.
func surrogates(text []byte, n int, code rune) (int, []byte) {
	if 0xd800 <= code && code < 0xdc00 && len(text) >= n+6 && text[n] == '\\' && text[n+1] == 'u' {
		if low, err := strconv.ParseUint(string(text[n+2:n+6]), 16, 32); err == nil && 0xdc00 <= low && low < 0xe000 {
			return n + 6, utf8.AppendRune(nil, 0x10000+(code-0xd800)<<10+rune(low)-0xdc00)
		}
	}
	return n, utf8.AppendRune(nil, code)
}

// quoted are the ways of SQL, YAML, CSV and shells to write a quotation mark
// between quotation marks.
var quoted = []string{`'\''`, `'"'"'`, `''`, `""`}

// unquote undoes quotation marks between quotation marks.
func unquote(r reading, _ int) []reading {
	if !bytes.ContainsAny(r.text, `'"`) {
		return nil
	}
	out := reading{lines: r.lines}
	changed := false
	for i := 0; i < len(r.text); {
		n := 1
		for _, q := range quoted {
			if n == 1 && bytes.HasPrefix(r.text[i:], []byte(q)) {
				n, changed = len(q), true
			}
		}
		out.add(r, i, i+n, r.text[i])
		i += n
	}
	return some(out, changed)
}

// unpercent undoes the encoding of URLs, in forms with a plus for a blank.
func unpercent(plus bool) decoder {
	return func(r reading, _ int) []reading {
		if bytes.IndexByte(r.text, '%') < 0 && (!plus || bytes.IndexByte(r.text, '+') < 0) {
			return nil
		}
		out := reading{lines: r.lines}
		changed := false
		for i := 0; i < len(r.text); {
			n, decoded := 1, r.text[i]
			switch {
			case plus && decoded == '+':
				decoded, changed = ' ', true
			case decoded == '%' && i+2 < len(r.text) && hexDigits.value(r.text[i+1]) >= 0 && hexDigits.value(r.text[i+2]) >= 0:
				n, decoded, changed = 3, byte(hexDigits.value(r.text[i+1])<<4|hexDigits.value(r.text[i+2])), true
			}
			out.add(r, i, i+n, decoded)
			i += n
		}
		return some(out, changed)
	}
}

// unentity undoes the entities of HTML and XML.
func unentity(r reading, _ int) []reading {
	if bytes.IndexByte(r.text, '&') < 0 {
		return nil
	}
	out := reading{lines: r.lines}
	changed := false
	for i := 0; i < len(r.text); {
		if r.text[i] == '&' {
			const longest = 12 // of those that stand for what a password may have
			end := bytes.IndexByte(r.text[i:min(len(r.text), i+longest)], ';')
			if end > 0 {
				entity := string(r.text[i : i+end+1])
				if decoded := html.UnescapeString(entity); decoded != entity {
					out.add(r, i, i+end+1, []byte(decoded)...)
					i, changed = i+end+1, true
					continue
				}
			}
		}
		out.add(r, i, i+1, r.text[i])
		i++
	}
	return some(out, changed)
}

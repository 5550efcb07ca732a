//go:build linux

package canary

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// forms are the ways in which a value may appear, by name. Duplicates are left
// out.
func forms(value string) map[string]string {
	out := map[string]string{"as it is": value}
	add := func(name, form string) {
		if !slices.Contains(slices.Collect(maps.Values(out)), form) {
			out[name] = form
		}
	}
	// Within a longer text, base64 looks different at each of three offsets:
	// the scan looks for the part that its neighbors don't affect.
	for offset := range 3 {
		bits := 8 * (offset + len(value))
		for _, alphabet := range []struct {
			name     string
			encoding *base64.Encoding
		}{{"base64", base64.RawStdEncoding}, {"base64url", base64.RawURLEncoding}} {
			text := alphabet.encoding.EncodeToString(append(make([]byte, offset), value...))
			add(fmt.Sprintf("%s at offset %d", alphabet.name, offset), text[(8*offset+5)/6:bits/6])
		}
	}
	for offset := range 5 {
		bits := 8 * (offset + len(value))
		text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(append(make([]byte, offset), value...))
		add(fmt.Sprintf("base32 at offset %d", offset), text[(8*offset+4)/5:bits/5])
	}
	var little, big []byte
	for _, unit := range utf16.Encode([]rune(value)) {
		little, big = binary.LittleEndian.AppendUint16(little, unit), binary.BigEndian.AppendUint16(big, unit)
	}
	add("UTF-16LE", string(little))
	add("UTF-16BE", string(big))
	add("hex", hex.EncodeToString([]byte(value)))
	add("HEX", strings.ToUpper(hex.EncodeToString([]byte(value))))
	add("URL query", url.QueryEscape(value))
	add("url query", lowerEscapes(url.QueryEscape(value)))
	add("URL path", url.PathEscape(value))
	quoted, _ := json.Marshal(value) // a string: it can't fail
	add("JSON", string(quoted[1:len(quoted)-1]))
	goQuoted := strconv.Quote(value)
	add("Go", goQuoted[1:len(goQuoted)-1])
	add("SQL", strings.ReplaceAll(value, "'", "''"))
	add("shell", strings.ReplaceAll(value, "'", `'\''`))
	add("XML", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(value))
	return out
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			b.WriteString(strings.ToLower(text[i : i+3]))
			i += 2
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// ledger is everything known to be secret, and everything that Rota wrote.
type ledger struct {
	values  map[string]string // value → what it is
	outputs []output
	shown   []output // where values are meant to be: what rota get shows
}

type output struct {
	name    string
	content []byte
	meant   string // a value that is meant to be in there

	unwrapped []byte // the content without line breaks, also as a table writes them; nil if it's not a text
}

func newLedger() *ledger { return &ledger{values: map[string]string{}} }

// secret records a value.
func (l *ledger) secret(what, value string) {
	if _, known := l.values[value]; !known && value != "" {
		l.values[value] = what
	}
}

var lineBreaks = strings.NewReplacer("\n", "", "; ", "", `\n`, "")

func (l *ledger) wrote(name string, content []byte) {
	o := output{name: name, content: content}
	if utf8.Valid(content) {
		o.unwrapped = []byte(lineBreaks.Replace(string(content)))
	}
	l.outputs = append(l.outputs, o)
}

// add merges another ledger.
func (l *ledger) add(other *ledger) {
	for value, what := range other.values {
		l.secret(what, value)
	}
	l.outputs = append(l.outputs, other.outputs...)
	l.shown = append(l.shown, other.shown...)
}

// hit is a value where it must not be.
type hit struct{ what, form, where string }

// scan looks for every value in every form in every output.
func (l *ledger) scan() (hits []hit, formCount, size int) { return l.scanIn(l.outputs) }

func (l *ledger) scanIn(outputs []output) (hits []hit, formCount, size int) {
	var search finder
	for _, value := range slices.Sorted(maps.Keys(l.values)) {
		for form, text := range forms(value) {
			search.add(sought{value, form, text})
			formCount++
		}
	}
	for _, o := range outputs {
		size += len(o.content)
		seen := map[[2]string]bool{} // one hit for a value's form is enough
		look := func(content []byte, suffix string) {
			search.in(content, func(s sought, i int) {
				if s.value == o.meant || seen[[2]string{s.value, s.form}] {
					return
				}
				seen[[2]string{s.value, s.form}] = true
				before := bytes.ReplaceAll(content[max(0, i-150):i], []byte(s.value), []byte("***"))
				hits = append(hits, hit{l.values[s.value], s.form + suffix, fmt.Sprintf("%s, byte %d, after %q", o.name, i, before)})
			})
		}
		look(o.content, "")
		look(o.unwrapped, " in lines")
	}
	return hits, formCount, size
}

// sought is one form of a value.
type sought struct{ value, form, text string }

// finder looks for thousands of texts in one pass, by their first bytes.
type finder struct {
	heads map[uint32][]sought
	some  [1 << 16]bool // whether there's a head with this hash
}

const headLen = 4

func headHash(head uint32) uint32 { return head * 2654435761 >> 16 }

// add adds a text of at least headLen bytes.
func (f *finder) add(s sought) {
	if f.heads == nil {
		f.heads = map[uint32][]sought{}
	}
	head := binary.LittleEndian.Uint32([]byte(s.text))
	f.heads[head] = append(f.heads[head], s)
	f.some[headHash(head)] = true
}

// in calls found for each place where a text stands.
func (f *finder) in(content []byte, found func(s sought, at int)) {
	for i := 0; i+headLen <= len(content); i++ {
		head := binary.LittleEndian.Uint32(content[i:])
		if !f.some[headHash(head)] {
			continue
		}
		for _, s := range f.heads[head] {
			if len(content)-i >= len(s.text) && string(content[i:i+len(s.text)]) == s.text {
				found(s, i)
			}
		}
	}
}

func TestTheScannerFindsAPlantedValue(t *testing.T) {
	const value = `p+A/s<S>&w"o'r\d=%100~`
	plants := forms(value)
	for _, want := range []string{"as it is", "base64 at offset 0", "base64 at offset 1", "base64 at offset 2", "base32 at offset 0", "base32 at offset 4", "UTF-16LE", "UTF-16BE", "hex", "HEX", "URL query", "url query", "URL path", "JSON", "Go", "SQL", "shell", "XML"} {
		if plants[want] == "" {
			t.Errorf("there is no form %q", want)
		}
	}
	// The same, encoded by others and inside other text.
	for i := range 6 {
		neighbours := strings.Repeat("x", i) + value + "tail"
		plants["std base64 "+fmt.Sprint(i)] = base64.StdEncoding.EncodeToString([]byte(neighbours))
		plants["URL base64 "+fmt.Sprint(i)] = base64.URLEncoding.EncodeToString([]byte(neighbours))
		plants["base32 "+fmt.Sprint(i)] = base32.StdEncoding.EncodeToString([]byte(neighbours))
		plants["wrapped "+fmt.Sprint(i)] = regexp.MustCompile(".{12}").ReplaceAllString(base64.StdEncoding.EncodeToString([]byte(neighbours)), "$0\n")
		plants["hex "+fmt.Sprint(i)] = fmt.Sprintf("%x", neighbours)
		plants["query "+fmt.Sprint(i)] = url.Values{"password": {neighbours}}.Encode()
		plants["userinfo "+fmt.Sprint(i)] = url.UserPassword("user", neighbours).String()
	}
	for name, text := range plants {
		l := newLedger()
		l.secret("the value", value)
		l.secret("another", "never-written-anywhere")
		l.wrote("clean", []byte("level=INFO msg=set secret=prod/db reason=\"the new password\""))
		noise := "\xff"
		if strings.HasPrefix(name, "wrapped") {
			noise = "" // only a text is looked at without its line breaks
		}
		l.wrote("dirty", []byte("\x00"+noise+" before "+text+" after"))
		hits, _, _ := l.scan()
		if len(hits) == 0 || hits[0].what != "the value" || !strings.HasPrefix(hits[0].where, "dirty") {
			t.Errorf("%s: hits %v, want one in the dirty output", name, hits)
		}
		for _, h := range hits {
			if strings.Contains(h.where, value) {
				t.Errorf("%s: the report itself shows the value", name)
			}
		}
	}
}

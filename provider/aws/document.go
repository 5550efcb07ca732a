package aws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

var errNotObject = errors.New("the secret's value is not a JSON object")

// member is one name in a JSON object and the position of its value in the text.
type member struct {
	name       string
	start, end int
}

// document is a JSON object as text, with the positions of its members, so that
// single values can be replaced while everything else stays the same, byte for
// byte.
type document struct {
	text    string
	members []member
	last    int // where the last member ends, or the opening brace
}

// parseDocument parses a JSON object. Its errors quote nothing from the text.
func parseDocument(text string) (document, error) {
	doc := document{text: text}
	decoder := json.NewDecoder(strings.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return document{}, errNotObject
	}
	doc.last = int(decoder.InputOffset())
	for decoder.More() {
		token, err := decoder.Token()
		name, isName := token.(string)
		if err != nil || !isName {
			return document{}, errNotObject
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return document{}, errNotObject
		}
		doc.last = int(decoder.InputOffset())
		doc.members = append(doc.members, member{name: name, start: doc.last - len(raw), end: doc.last})
	}
	if _, err := decoder.Token(); err != nil { // the closing brace
		return document{}, errNotObject
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return document{}, errNotObject
	}
	return doc, nil
}

// texts returns the members that are strings. If a name occurs twice, the last one
// counts, as in most JSON parsers.
func (d document) texts() map[string]string {
	texts := map[string]string{}
	for _, m := range d.members {
		var text *string
		if json.Unmarshal([]byte(d.text[m.start:m.end]), &text) == nil && text != nil {
			texts[m.name] = *text
		} else {
			delete(texts, m.name)
		}
	}
	return texts
}

// carries reports whether the document contains all these values.
func (d document) carries(values map[string]string) bool {
	texts := d.texts()
	for name, value := range values {
		if text, ok := texts[name]; !ok || text != value {
			return false
		}
	}
	return true
}

// merge returns the document's text with these values. They replace members of the
// same name; new ones are appended, sorted.
func (d document) merge(values map[string]string) (string, error) {
	var out strings.Builder
	missing := maps.Clone(values)
	done := 0
	for _, m := range d.members {
		value, ok := values[m.name]
		if !ok {
			continue
		}
		delete(missing, m.name)
		quoted, err := quote(m.name, value)
		if err != nil {
			return "", err
		}
		out.WriteString(d.text[done:m.start])
		out.WriteString(quoted)
		done = m.end
	}
	out.WriteString(d.text[done:d.last])
	comma := len(d.members) > 0
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		quotedName, err := quote("a name", name)
		if err != nil {
			return "", err
		}
		quoted, err := quote(name, missing[name])
		if err != nil {
			return "", err
		}
		if comma {
			out.WriteByte(',')
		}
		comma = true
		out.WriteString(quotedName + ":" + quoted)
	}
	out.WriteString(d.text[d.last:])
	return out.String(), nil
}

// quote returns a JSON string without escaping < > &. It refuses text that isn't
// UTF-8, because encoding would change it.
func quote(name, value string) (string, error) {
	if !utf8.ValidString(value) {
		return "", fmt.Errorf("field %s is not valid UTF-8 text", name)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", fmt.Errorf("field %s can't be written as JSON", name)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
)

// part is a piece of a template: a text, or the name of what takes its place.
type part struct{ text, name string }

// parts splits "Bearer {token}" into its pieces. A doubled brace stands for one.
func parts(s string) ([]part, error) {
	var out []part
	var text strings.Builder
	for s != "" {
		switch {
		case strings.HasPrefix(s, "{{"), strings.HasPrefix(s, "}}"):
			text.WriteByte(s[0])
			s = s[2:]
		case s[0] == '{':
			name, rest, closed := strings.Cut(s[1:], "}")
			if !closed || name == "" || strings.ContainsAny(name, "{ \"") {
				return nil, errors.New("a { without a name and its }")
			}
			out = append(out, part{text: text.String()}, part{name: name})
			text.Reset()
			s = rest
		case s[0] == '}':
			return nil, errors.New("a } without its {")
		default:
			text.WriteByte(s[0])
			s = s[1:]
		}
	}
	return append(out, part{text: text.String()}), nil
}

// expand puts values in the places of their names. encode, if there is one, encodes
// each of them.
func expand(s string, values map[string]string, encode func(string) string) (string, error) {
	all, err := parts(s)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, p := range all {
		if p.name == "" {
			out.WriteString(p.text)
			continue
		}
		value, ok := values[p.name]
		if !ok {
			return "", fmt.Errorf("there's no {%s}", p.name)
		}
		if encode != nil {
			value = encode(value)
		}
		out.WriteString(value)
	}
	return out.String(), nil
}

// checkTemplate reports what's wrong with a template that may name these.
func checkTemplate(s string, known []string) error {
	all, err := parts(s)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.name != "" && !slices.Contains(known, p.name) {
			return fmt.Errorf("there's no {%s}", p.name)
		}
	}
	return nil
}

// segment encodes a value for a path or a query.
func segment(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// document is a JSON value in whose texts names are replaced: the braces of JSON
// itself aren't templates.
type document struct{ value any }

// parseDocument reads JSON, numbers as they're written.
func parseDocument(text string) (document, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return document{}, errors.New("it isn't JSON") // the decoder's own text might hold a piece of it
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return document{}, errors.New("it's more than one JSON value")
	}
	return document{v}, nil
}

// check reports what's wrong with the templates in it.
func (d document) check(known []string) error {
	_, err := each(d.value, func(s string) (string, error) { return s, checkTemplate(s, known) })
	return err
}

// render is the JSON with its names replaced.
func (d document) render(values map[string]string) ([]byte, error) {
	v, err := each(d.value, func(s string) (string, error) { return expand(s, values, nil) })
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, errors.New("it can't be written as JSON")
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// each is a JSON value with all its texts changed. Keys stay.
func each(v any, change func(string) (string, error)) (any, error) {
	switch v := v.(type) {
	case string:
		return change(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			var err error
			if out[i], err = each(x, change); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			var err error
			if out[k], err = each(x, change); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// at is the value at a dotted path of an answer, such as result.id; "" is all of it.
func at(v any, path string) (any, bool) {
	if path == "" {
		return v, true
	}
	for key := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[key]; !ok {
			return nil, false
		}
	}
	return v, v != nil
}

// textAt is the text, number or truth value at a path, as a text.
func textAt(v any, path string) (string, bool) {
	found, ok := at(v, path)
	if !ok {
		return "", false
	}
	switch x := found.(type) {
	case string:
		return x, true
	case json.Number:
		return x.String(), true
	case bool:
		return fmt.Sprint(x), true
	}
	return "", false
}

package http

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// part is a piece of a template: a text, or the names of what takes its place, joined
// by colons, with a filter that it goes through.
type part struct {
	text   string
	names  []string
	filter string
}

// filters are what can follow a name and a bar, as in {key|base64}. The first two
// are those of file targets.
var filters = map[string]func(string) string{
	"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"url":    segment,
	"json":   quoted,
}

// quoted is a text as it stands between the quotes of a JSON string: for JSON in a
// text of the body, which is escaped itself.
func quoted(s string) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text and a buffer: it can't fail
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(out.String()), `"`), `"`)
}

// parts splits "Bearer {token}" into its pieces. A doubled brace stands for one.
// {username:password|base64} is both, joined as Basic authentication wants it.
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
				return nil, rota.WithRemedies(errors.New("a { without a name and its }"), rota.Configure("", "{{ for the brace itself"))
			}
			name, filter, filtered := strings.Cut(name, "|")
			if _, known := filters[filter]; filtered && !known {
				return nil, rota.WithRemedies(fmt.Errorf("{%s|%s}: no filter %q", name, filter, filter), rota.Configure("", strings.Join(slices.Sorted(maps.Keys(filters)), ", ")))
			}
			out = append(out, part{text: text.String()}, part{names: strings.Split(name, ":"), filter: filter})
			text.Reset()
			s = rest
		case s[0] == '}':
			return nil, rota.WithRemedies(errors.New("a } without its {"), rota.Configure("", "}} for the brace itself"))
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
		if p.names == nil {
			out.WriteString(p.text)
			continue
		}
		joined := make([]string, len(p.names))
		for i, name := range p.names {
			value, ok := values[name]
			if !ok && name != "" {
				return "", fmt.Errorf("there's no {%s}", name)
			}
			joined[i] = value
		}
		value := strings.Join(joined, ":")
		if filter := filters[p.filter]; filter != nil {
			value = filter(value)
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
		for _, name := range p.names {
			if name != "" && !slices.Contains(known, name) {
				return rota.WithRemedies(fmt.Errorf("there's no {%s}", name), rota.Configure("", braced(known)))
			}
		}
	}
	return nil
}

// braced are names as templates have them.
func braced(names []string) string {
	var out []string
	for _, n := range names {
		out = append(out, "{"+n+"}")
	}
	return strings.Join(out, ", ")
}

// mentions reports whether a template names something. One that can't be read may.
func mentions(s, name string) bool {
	all, err := parts(s)
	if err != nil {
		return strings.Contains(s, name)
	}
	return slices.ContainsFunc(all, func(p part) bool { return slices.Contains(p.names, name) })
}

// mentions reports whether the templates in it name something.
func (d document) mentions(name string) bool {
	found := false
	_, _ = each(d.value, func(s string) (string, error) {
		found = found || mentions(s, name)
		return s, nil
	})
	return found
}

// segment encodes a value for a path or a query.
func segment(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// document is a JSON value in whose texts names are replaced: the braces of JSON
// itself aren't templates.
type document struct{ value any }

// jsonExample is a body as rota.yaml has it.
var jsonExample = rota.Configure("", `JSON in single quotes, with names within its texts: '{"name": "{name}"}'`)

// parseDocument reads JSON, numbers as they're written.
func parseDocument(text string) (document, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return document{}, rota.WithRemedies(errors.New("it isn't JSON"), jsonExample) // the decoder's own text might hold a piece of it
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return document{}, rota.WithRemedies(errors.New("it's more than one JSON value"), jsonExample)
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

package rota

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// FieldMap maps a credential's fields to the names users want. Each entry is an
// outside name and either a field's name (access_key_id) or a template with
// fields in braces: "postgres://{username}:{password|url}@db/app". Double a
// brace to get a literal one. Errors in a template of several lines name the line.
// The zero FieldMap keeps the fields' own names.
type FieldMap struct {
	entries map[string]template
}

// template is a sequence of literal text and fields.
type template []part

type part struct {
	literal string
	field   string // "" for a literal
	filter  string
	line    string // "line 3: " for a field of a template with several lines
}

// filters are the functions that can follow a field's name and a bar, as in
// {password|url}.
var filters = map[string]func(string) string{
	"url":    escapeURL,
	"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
}

// escapeURL escapes everything but letters, digits and - _ . ~, so that the
// text fits anywhere in a URL.
func escapeURL(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// ParseFieldMap parses a map from outside names to fields or templates. known
// lists the fields of the issuer's credentials; nil accepts any.
func ParseFieldMap(m map[string]string, known []string) (FieldMap, error) {
	if len(m) == 0 {
		return FieldMap{}, nil
	}
	fm := FieldMap{entries: make(map[string]template, len(m))}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if name == "" {
			return FieldMap{}, errors.New("a name is empty")
		}
		t, err := parseTemplate(m[name])
		if err != nil {
			return FieldMap{}, fmt.Errorf("%s: %w", name, err)
		}
		for _, p := range t {
			if p.field != "" && known != nil && !slices.Contains(known, p.field) {
				return FieldMap{}, WithRemedies(fmt.Errorf("%s: %sno field %q in the credential", name, p.line, p.field), Configure("", strings.Join(known, ", ")))
			}
		}
		fm.entries[name] = t
	}
	return fm, nil
}

func parseTemplate(s string) (template, error) {
	if s == "" {
		return nil, WithRemedies(errors.New("empty"), Configure("", "a field's name, or a template with {field}"))
	}
	if !strings.ContainsAny(s, "{}") {
		return template{{field: s}}, nil
	}
	var t template
	var literal strings.Builder
	whole := s
	line := func() string {
		if !strings.Contains(strings.TrimSuffix(whole, "\n"), "\n") {
			return ""
		}
		return fmt.Sprintf("line %d: ", 1+strings.Count(whole[:len(whole)-len(s)], "\n"))
	}
	for s != "" {
		switch {
		case strings.HasPrefix(s, "{{"), strings.HasPrefix(s, "}}"):
			literal.WriteByte(s[0])
			s = s[2:]
		case s[0] == '}':
			return nil, WithRemedies(errors.New(line()+"a } without its {"), Configure("", "}} for the character itself"))
		case s[0] == '{':
			inside, after, found := strings.Cut(s[1:], "}")
			if !found {
				return nil, WithRemedies(errors.New(line()+"a { without its }"), Configure("", "{{ for the character itself"))
			}
			field, filter, filtered := strings.Cut(inside, "|")
			if field == "" || strings.ContainsAny(field, "{ \t\r\n") {
				return nil, fmt.Errorf("%s{%s} names no field", line(), inside)
			}
			if _, ok := filters[filter]; filtered && !ok {
				return nil, WithRemedies(fmt.Errorf("%s{%s}: no filter %q", line(), inside, filter), Configure("", strings.Join(slices.Sorted(maps.Keys(filters)), ", ")))
			}
			if literal.Len() > 0 {
				t = append(t, part{literal: literal.String()})
				literal.Reset()
			}
			t = append(t, part{field: field, filter: filter, line: line()})
			s = after
		default:
			literal.WriteByte(s[0])
			s = s[1:]
		}
	}
	if literal.Len() > 0 {
		t = append(t, part{literal: literal.String()})
	}
	return t, nil
}

// Render returns the values under their outside names. It fails if the
// credential lacks a field that the map uses.
func (m FieldMap) Render(c Credential) (map[string]string, error) {
	if m.entries == nil {
		return c.Fields(), nil
	}
	out := make(map[string]string, len(m.entries))
	for name, t := range m.entries {
		var b strings.Builder
		for _, p := range t {
			if p.field == "" {
				b.WriteString(p.literal)
				continue
			}
			value, ok := c.fields()[p.field]
			if !ok {
				return nil, fmt.Errorf("%s: %sthe credential has no field %q, only %v", name, p.line, p.field, c.Names())
			}
			if filter := filters[p.filter]; filter != nil {
				value = filter(value)
			}
			b.WriteString(value)
		}
		out[name] = b.String()
	}
	return out, nil
}

// Read is the inverse of Render: it builds a credential from the values under
// their outside names. Only entries that are a single field can be read back;
// names not in the map are ignored.
func (m FieldMap) Read(values map[string]string) Credential {
	if m.entries == nil {
		return NewCredential(values)
	}
	fields := map[string]string{}
	for _, name := range m.Names() {
		t := m.entries[name]
		if value, ok := values[name]; ok && len(t) == 1 && t[0].field != "" && t[0].filter == "" {
			fields[t[0].field] = value
		}
	}
	return NewCredential(fields)
}

// Readable returns the fields that Read can return, sorted. It returns nil for
// the zero map, with which Read returns all of them.
func (m FieldMap) Readable() []string {
	var fields []string
	for _, t := range m.entries {
		if len(t) == 1 && t[0].field != "" && t[0].filter == "" {
			fields = append(fields, t[0].field)
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// Names returns the outside names, sorted, or nil for the zero map.
func (m FieldMap) Names() []string { return slices.Sorted(maps.Keys(m.entries)) }

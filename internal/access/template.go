package access

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/rota-dev/rota"
)

// Template is a text with placeholders such as {project_path}, which are filled
// from a caller's verified attributes: a token's claims, or the names in a
// certificate.
type Template string

// maxFilled is the maximum size of a filled template, in bytes.
const maxFilled = 512

// Validate rejects a template with unbalanced braces and, unless names is nil,
// unknown placeholders.
func (t Template) Validate(names []string) error {
	_, err := t.fill(func(name string) (string, error) {
		if name == "" {
			return "", fmt.Errorf("template %q has an empty placeholder {}", t)
		}
		for _, n := range names {
			if n == name {
				return "x", nil
			}
		}
		if names == nil {
			return "x", nil
		}
		if near := Nearest(name, names); near != "" {
			return "", rota.WithRemedies(fmt.Errorf("template %q: unknown placeholder {%s}", t, name), rota.Correct("{"+near+"}"))
		}
		return "", rota.WithRemedies(fmt.Errorf("template %q: unknown placeholder {%s}", t, name), rota.Outside(fmt.Sprintf("{%s}", strings.Join(names, "}, {"))))
	})
	return err
}

// Fill substitutes values for the placeholders. It rejects a value that is
// missing or empty, or that contains whitespace, unprintable characters, "*" or
// a brace: a value that a stranger chose must not widen a pattern or break a
// line of the audit.
func (t Template) Fill(value func(name string) (string, bool)) (string, error) {
	filled, err := t.fill(func(name string) (string, error) {
		v, ok := value(name)
		if !ok || v == "" {
			return "", fmt.Errorf("no value for %s in template %q", name, t)
		}
		if strings.ContainsFunc(v, func(r rune) bool {
			return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune("*{}", r)
		}) {
			return "", fmt.Errorf("the value of %s has a character that isn't allowed in template %q", name, t)
		}
		return v, nil
	})
	if len(filled) > maxFilled {
		return "", fmt.Errorf("template %q is longer than %d bytes once filled in", t, maxFilled)
	}
	return filled, err
}

func (t Template) fill(value func(name string) (string, error)) (string, error) {
	var b strings.Builder
	rest := string(t)
	for {
		before, after, found := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return "", errUnpaired
		}
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, next, closed := strings.Cut(after, "}")
		if !closed || strings.Contains(name, "{") {
			return "", errUnpaired
		}
		v, err := value(name)
		if err != nil {
			return "", err
		}
		b.WriteString(v)
		rest = next
	}
}

var errUnpaired = rota.WithRemedies(errors.New("unbalanced { or }"), rota.Outside("{project_path}"))

// ValidateTemplates validates rules whose patterns are templates. For names,
// see [Template.Validate].
func ValidateTemplates(rules []Rule, names []string) error {
	filled := make([]Rule, 0, len(rules))
	for _, r := range rules {
		if err := Template(r.Pattern).Validate(names); err != nil {
			return err
		}
		pattern, err := Template(r.Pattern).Fill(func(string) (string, bool) { return "x", true })
		if err != nil {
			return err
		}
		filled = append(filled, Rule{Action: r.Action, Pattern: pattern})
	}
	return ValidateRules(filled)
}

// FillRules fills in the patterns of rules.
func FillRules(rules []Rule, value func(name string) (string, bool)) ([]Rule, error) {
	filled := make([]Rule, 0, len(rules))
	for _, r := range rules {
		pattern, err := Template(r.Pattern).Fill(value)
		if err != nil {
			return nil, err
		}
		filled = append(filled, Rule{Action: r.Action, Pattern: pattern})
	}
	return filled, nil
}

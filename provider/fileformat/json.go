package fileformat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/rota-dev/rota"
)

// member is one member of a JSON object, with its value as written.
type member struct {
	name  string
	value json.RawMessage
}

// mergeJSON puts values into a JSON object as strings. The other members keep
// their order and their values, numbers to the last digit; new ones come last,
// sorted. Indentation is Rota's own.
func mergeJSON(existing []byte, values map[string]string) ([]byte, error) {
	members, err := readObject(existing)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !utf8.ValidString(values[name]) || !utf8.ValidString(name) {
			return nil, rota.WithRemedies(fmt.Errorf("%q is not UTF-8, which JSON can't hold", name), rota.Outside("{field|base64}"))
		}
		value, err := quoteJSON(values[name])
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(members, func(m member) bool { return m.name == name })
		if i < 0 {
			members = append(members, member{name, value})
			continue
		}
		members[i].value = value
	}

	return writeObject(members)
}

// writeObject writes an object, indented.
func writeObject(members []member) ([]byte, error) {
	var flat bytes.Buffer
	flat.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			flat.WriteByte(',')
		}
		name, err := quoteJSON(m.name)
		if err != nil {
			return nil, err
		}
		flat.Write(name)
		flat.WriteByte(':')
		flat.Write(m.value)
	}
	flat.WriteByte('}')
	var out bytes.Buffer
	if err := json.Indent(&out, flat.Bytes(), "", "  "); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// quoteJSON is a JSON string without HTML escapes.
func quoteJSON(s string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// readObject reads a JSON object in order; an empty file has no members.
// The decoder's errors quote the content, so they aren't passed on.
func readObject(content []byte) ([]member, error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return nil, nil
	}
	if !utf8.Valid(content) || !json.Valid(content) {
		return nil, rota.WithRemedies(fmt.Errorf("line %d: not valid JSON, and so not overwritten", jsonLine(content)), rota.Outside("correct the file, or move it away"))
	}
	d := json.NewDecoder(bytes.NewReader(content))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, rota.WithRemedies(errors.New("not a JSON object, and so not overwritten"), rota.Outside("correct the file, or move it away"))
	}
	var members []member
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, fmt.Errorf("not a JSON object")
		}
		if slices.ContainsFunc(members, func(m member) bool { return m.name == name }) {
			return nil, rota.WithRemedies(fmt.Errorf("the key %q appears twice", name), rota.Outside("remove one"))
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("the value of %q is not valid JSON", name)
		}
		members = append(members, member{name, value})
	}
	return members, nil
}

// jsonLine is the line of the first error, 1 if unknown.
func jsonLine(content []byte) int {
	var v json.RawMessage
	err := json.Unmarshal(content, &v)
	if s, ok := errors.AsType[*json.SyntaxError](err); ok && s.Offset <= int64(len(content)) {
		return 1 + bytes.Count(content[:s.Offset], []byte("\n"))
	}
	return 1
}

package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder fills the file's types from YAML nodes, so that every problem has a
// position. The types' json tags name the keys, for it and for the schema
// alike; "omitzero" marks the keys that may be left out. More tags:
//
//	oneof:"g"      exactly one of the struct's fields with this tag must be there
//	enum:"a,b"     the texts that are taken
//	min, max       the numbers that are taken
//	empty:"true"   the text may be empty
//	secret:"true"  a literal value deserves a warning
type decoder struct {
	problems
	warnings problems
	texts    []*Text // all that were read
}

func at(n *yaml.Node) Pos { return Pos{Line: max(n.Line, 1), Column: max(n.Column, 1)} }

func (d *decoder) problem(n *yaml.Node, hint, format string, args ...any) {
	d.add(at(n), hint, format, args...)
}

// describe says what a node is, never what it holds.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!str":
		return "a text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a date"
	}
	return "a value of another type"
}

// value decodes a node into v.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) {
	if n.Kind == yaml.AliasNode {
		d.problem(n, "try: write the value out, or quote a text that begins with *", "%s: aliases are not taken", orTop(path))
		return
	}
	if l, ok := v.Addr().Interface().(leaf); ok {
		l.read(d, n, path, tag)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path, tag)
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Map:
		d.table(n, v, path, tag)
	case reflect.Slice:
		if d.isList(n, path) {
			v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
			d.elements(n, v, path, tag)
		}
	case reflect.Array:
		if !d.isList(n, path) {
			return
		}
		if len(n.Content) != v.Len() {
			d.problem(n, "", "%s: expected %d entries, found %d", path, v.Len(), len(n.Content))
			return
		}
		d.elements(n, v, path, tag)
	}
}

func (d *decoder) isList(n *yaml.Node, path string) bool {
	if n.Kind == yaml.SequenceNode && n.ShortTag() == "!!seq" {
		return true
	}
	d.problem(n, "", "%s: expected a list, found %s", path, describe(n))
	return false
}

func (d *decoder) elements(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) {
	for i, element := range n.Content {
		d.value(element, v.Index(i), fmt.Sprintf("%s[%s]", path, label(element, i)), tag)
	}
}

// label names an element of a list: by its name where it has one.
func label(n *yaml.Node, i int) string {
	if n.Kind == yaml.MappingNode {
		for k := 0; k+1 < len(n.Content); k += 2 {
			if n.Content[k].Value == "name" && goodName(n.Content[k+1].Value) {
				return n.Content[k+1].Value
			}
		}
	}
	return fmt.Sprint(i)
}

// pairs walks a mapping's keys, refusing those that are no text or come twice.
func (d *decoder) pairs(n *yaml.Node, path string, do func(key, value *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		d.problem(n, "", "%s: expected a mapping, found %s", orTop(path), describe(n))
		return false
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch line, twice := lines[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
			d.problem(key, "", "%s: a key must be a text, found %s", orTop(path), describe(key))
		case twice:
			d.problem(key, "", "%s: %s is already on line %d", orTop(path), showKey(key.Value), line)
		default:
			lines[key.Value] = at(key).Line
			do(key, n.Content[i+1])
		}
	}
	return true
}

// mapping decodes into a struct.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	v.FieldByName("At").Set(reflect.ValueOf(at(n)))
	fields := fieldsOf(v.Type())
	given := map[string]bool{}
	if !d.pairs(n, path, func(key, value *yaml.Node) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value })
		if i < 0 {
			d.unknown(key, path, fields)
			return
		}
		given[key.Value] = true
		d.value(value, v.FieldByIndex(fields[i].index), join(path, key.Value), fields[i].tag)
	}) {
		return
	}
	groups := map[string][]string{}
	var order []string
	for _, f := range fields {
		if f.group != "" {
			if groups[f.group] == nil {
				order = append(order, f.group)
			}
			groups[f.group] = append(groups[f.group], f.key)
		} else if f.required && !given[f.key] {
			d.problem(n, "", "%s: %s is missing", orTop(path), f.key)
		}
	}
	for _, g := range order {
		var have []string
		for _, key := range groups[g] {
			if given[key] {
				have = append(have, key)
			}
		}
		switch {
		case len(have) == 0:
			d.problem(n, "", "%s: needs %s", orTop(path), oneOf(groups[g]))
		case len(have) > 1:
			d.problem(n, "", "%s: %s exclude each other (try: keep one)", orTop(path), strings.Join(have, " and "))
		}
	}
}

func oneOf(keys []string) string {
	if len(keys) == 1 {
		return keys[0]
	}
	return "one of " + strings.Join(keys, ", ")
}

func (d *decoder) unknown(key *yaml.Node, path string, fields []field) {
	var known []string
	for _, f := range fields {
		known = append(known, f.key)
	}
	hint := suggest(key.Value, known)
	if strings.Contains(key.Value, ":") {
		hint = "try: a blank after the colon"
	}
	d.problem(key, hint, "%s: unknown key %s", orTop(path), showKey(key.Value))
}

// table decodes into a map from names to values.
func (d *decoder) table(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) {
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(n, path, func(key, value *yaml.Node) {
		if key.ShortTag() != "!!str" || key.Value == "" {
			d.problem(key, "try: quotes around it", "%s: a name must be a text, found %s", path, describe(key))
			return
		}
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(value, element, join(path, key.Value), tag)
		if named, ok := element.Interface().(*Connection); ok {
			if named == nil {
				return // said already
			}
			named.At = at(key)
		}
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
	})
}

// scalar refuses what is no single value.
func (d *decoder) scalar(n *yaml.Node, path, want string) bool {
	if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
		return true
	}
	d.problem(n, "", "%s: expected %s, found %s", path, want, describe(n))
	return false
}

// text is a node's text.
func (d *decoder) text(n *yaml.Node, path string, tag reflect.StructTag) (string, bool) {
	if !d.scalar(n, path, "a text") {
		return "", false
	}
	if n.ShortTag() != "!!str" {
		d.problem(n, "try: quotes around it", "%s: expected a text, found %s", path, describe(n))
		return "", false
	}
	if n.Value == "" && tag.Get("empty") == "" {
		d.problem(n, "", "%s: is empty", path)
		return "", false
	}
	if strings.ContainsRune(n.Value, 0) {
		d.problem(n, "", "%s: has a zero byte", path)
		return "", false
	}
	return n.Value, true
}

var keyLike = regexp.MustCompile(`^[A-Za-z0-9_./@+=-]{1,64}`)

// showKey quotes a key. What may be a value that slipped into the key, as in
// "password:hunter2", is cut off.
func showKey(key string) string {
	shown := keyLike.FindString(key)
	if shown != key {
		shown += "…"
	}
	return fmt.Sprintf("%q", shown)
}

func join(path, key string) string {
	if shown := keyLike.FindString(key); shown != key {
		key = shown + "…"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func orTop(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }

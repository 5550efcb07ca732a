package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// decoder fills the file's types from YAML nodes, so that every problem has a
// position. The types' json tags name the keys for both the decoder and the
// schema; "omitzero" marks optional keys. Other tags:
//
//	oneof:"g"      exactly one of the struct's fields with this tag must be set
//	enum:"a,b"     the allowed texts
//	min, max       the range of allowed numbers
//	empty:"true"   the text can be empty
//	secret:"true"  a literal value deserves a warning; rota policy does without it
//	secret:"half"  a part of a login that may be known: rota policy does without it
//	public:"true"  anybody may know the value, and read the file it's in
//	kind:"x"       of a ConnectionName: the kind of connection
//	kinds:"x"      of a Choice: one of the kinds of this role must be set
//	host:"true"    it reaches this machine; not for a namespace's resources
//	host:"path"    the same if it begins with / or @
type decoder struct {
	problems
	warnings problems
	catalog  *Catalog
	in       string // the included file that is being decoded, "" for the main one
	parts    int    // lines and values of all files so far
	// resources are those of a cluster, by the id that stands for their file.
	resources map[string]*Resource
}

// part is a value that can be written in more than one shape. It decodes
// itself.
type part interface {
	read(d *decoder, n *yaml.Node, path Path, tag reflect.StructTag)
}

func (d *decoder) at(n *yaml.Node) Pos { return provider.Node{YAML: n, File: d.in}.Pos() }

func describe(n *yaml.Node) string { return provider.Node{YAML: n}.Describe() }

func (d *decoder) problem(n *yaml.Node, path Path, hint, format string, args ...any) {
	d.add(d.at(n), path, hint, format, args...)
}

// sink is the leaves' view of the decoder.
type sink struct{ *decoder }

func (s sink) Problem(p provider.Problem)                        { s.report(p) }
func (s sink) Warning(p provider.Problem)                        { s.warnings.report(p) }
func (s sink) Suggest(word string, known []string) []rota.Remedy { return suggest(word, known) }

// node returns the input a leaf decodes itself from.
func (d *decoder) node(n *yaml.Node, path Path, tag reflect.StructTag) provider.Node {
	return provider.Node{YAML: n, File: d.in, Path: path, Tag: tag, Sink: sink{d}}
}

// value decodes a node into v. Once more problems are found than are reported,
// it does nothing.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path Path, tag reflect.StructTag) {
	if d.more {
		return
	}
	if n.Kind == yaml.AliasNode {
		d.problem(n, orTop(path), "write the value out, or quote a text that begins with *", "aliases aren't supported")
		return
	}
	if tag := foreignTag(n); tag != "" {
		hint := "leave the tag out; ${env:NAME} and ${file:/path} stand for values from elsewhere"
		if tag == "!!binary" {
			hint = "the text itself, or ${file:/path} for a file that holds it"
		}
		d.problem(n, orTop(path), hint, "the tag %s isn't supported", tag)
		return
	}
	switch l := v.Addr().Interface().(type) {
	case provider.Leaf:
		l.Read(d.node(n, path, tag))
		return
	case part:
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
			d.problem(n, path, "", "expected %d entries, found %d", v.Len(), len(n.Content))
			return
		}
		d.elements(n, v, path, tag)
	}
}

func (d *decoder) isList(n *yaml.Node, path Path) bool {
	if n.Kind == yaml.SequenceNode && n.ShortTag() == "!!seq" {
		return true
	}
	d.problem(n, path, "[…], or a line with - for each item", "expected a list, found %s", describe(n))
	return false
}

func (d *decoder) elements(n *yaml.Node, v reflect.Value, path Path, tag reflect.StructTag) {
	for i, element := range n.Content {
		if d.more {
			return
		}
		d.value(element, v.Index(i), path.Item(label(element, i)), tag)
	}
}

// label names a list element, by its own name if it has one.
func label(n *yaml.Node, i int) string {
	if n.Kind == yaml.MappingNode {
		for k := 0; k+1 < len(n.Content); k += 2 {
			if n.Content[k].Value == "name" && provider.GoodName(n.Content[k+1].Value) {
				return n.Content[k+1].Value
			}
		}
	}
	return fmt.Sprint(i)
}

// foreignTag returns a node's tag if it isn't one of YAML's own for the kinds of
// value that a file can have.
func foreignTag(n *yaml.Node) string {
	switch tag := n.ShortTag(); tag {
	case "", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!seq", "!!map", "!!merge":
		return ""
	default:
		return tag[:min(len(tag), 64)]
	}
}

// pairs iterates over a mapping, rejecting keys that aren't texts or are
// duplicates. It returns false if the mapping can't be judged as a whole.
func (d *decoder) pairs(n *yaml.Node, path Path, fields []field, do func(key, value *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		hint := "NAME: …"
		if len(fields) > 0 {
			hint = "a mapping with " + strings.Join(keysOf(fields), ", ")
		}
		d.problem(n, orTop(path), hint, "expected a mapping, found %s", describe(n))
		return false
	}
	lines, merged := map[string]int{}, false
	for i := 0; i+1 < len(n.Content) && !d.more; i += 2 {
		key := n.Content[i]
		switch line, twice := lines[key.Value]; {
		case key.ShortTag() == "!!merge":
			d.problem(key, orTop(path), "write the keys out, or set them for all secrets in defaults", "merge keys aren't supported")
			merged = true
		case key.Kind != yaml.ScalarNode:
			d.problem(key, orTop(path), "", "a key must be a text, found %s", describe(key))
		case twice:
			d.problem(key, orTop(path), "", "%s is already on line %d", showKey(key.Value), line)
		default:
			lines[key.Value] = d.at(key).Line
			do(key, n.Content[i+1])
		}
	}
	return !merged // otherwise what's missing may only be elsewhere
}

// mapping decodes into a struct.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path Path) {
	if place := v.FieldByName("At"); place.IsValid() {
		place.Set(reflect.ValueOf(d.at(n)))
	}
	fields := d.catalog.fields(v.Type())
	given := map[string]bool{}
	if !d.pairs(n, path, fields, func(key, value *yaml.Node) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value })
		if i < 0 {
			d.unknown(key, path, fields)
			return
		}
		given[key.Value] = true
		to := v.FieldByIndex(fields[i].index)
		if k := fields[i].kind; k != nil {
			d.choose(to.Addr().Interface().(*Choice), k, value, join(path, key.Value))
			return
		}
		d.value(value, to, join(path, key.Value), fields[i].tag)
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
			d.problem(n, orTop(path), "", "%s is missing", f.key)
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
			d.problem(n, orTop(path), "", "needs %s", oneOf(groups[g]))
		case len(have) > 1:
			d.problem(n, orTop(path), "keep one", "%s exclude each other", strings.Join(have, " and "))
		}
	}
}

// choose decodes one of the possible kinds. If there are two, the first wins;
// the conflict itself is reported with the mapping.
func (d *decoder) choose(c *Choice, k *kind, n *yaml.Node, path Path) {
	config := k.make()
	d.value(n, reflect.ValueOf(config).Elem(), path, "")
	if c.kind == nil {
		*c = Choice{kind: k, config: config, at: d.at(n), path: path}
	}
}

func oneOf(keys []string) string {
	if len(keys) == 1 {
		return keys[0]
	}
	return "one of " + strings.Join(keys, ", ")
}

func (d *decoder) unknown(key *yaml.Node, path Path, fields []field) {
	remedies := suggest(key.Value, keysOf(fields))
	if strings.Contains(key.Value, ":") {
		remedies = rota.Configure("", "a blank after the colon")
	}
	d.suggest(d.at(key), orTop(path), remedies, "unknown key %s", showKey(key.Value))
}

func keysOf(fields []field) []string {
	var keys []string
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	return keys
}

// table decodes into a map from names to values.
func (d *decoder) table(n *yaml.Node, v reflect.Value, path Path, tag reflect.StructTag) {
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(n, path, nil, func(key, value *yaml.Node) {
		if key.ShortTag() != "!!str" || key.Value == "" {
			d.problem(key, path, "quotes around it", "a name must be a text, found %s", describe(key))
			return
		}
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(value, element, join(path, key.Value), tag)
		if named, ok := element.Interface().(*Connection); ok {
			if named == nil {
				return // already reported
			}
			named.At = d.at(key)
		}
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
	})
}

var keyLike = regexp.MustCompile(`^[A-Za-z0-9_./@+=-]{1,64}`)

// showKey quotes a key. It cuts off anything that could be a value that slipped
// into the key, as in "password:hunter2".
func showKey(key string) string {
	shown := keyLike.FindString(key)
	if shown != key {
		shown += "…"
	}
	return fmt.Sprintf("%q", shown)
}

func join(path Path, key string) Path {
	if shown := keyLike.FindString(key); shown != key {
		key = shown + "…"
	}
	return path.Key(key)
}

// top is the path for problems with the outermost mapping.
var top = Path{"the file"}

func orTop(path Path) Path {
	if len(path) == 0 {
		return top
	}
	return path
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }

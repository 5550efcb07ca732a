package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/rota-dev/rota/provider"
)

// durationPattern is what [rota.ParseDuration] takes, near enough for editors.
const durationPattern = `^\s*([0-9]+w)?([0-9]+d)?([0-9.]+(ns|us|µs|μs|ms|s|m|h)|0)*\s*$`

// Schema is the JSON Schema of rota.yaml, generated from the types that the
// file is decoded into, for editors to complete and check by. It takes every
// file that [Load] takes; Load refuses more, such as unknown connections.
func (c *Catalog) Schema() ([]byte, error) {
	s, err := c.schemaFor(reflect.TypeFor[Document]())
	if err != nil {
		return nil, fmt.Errorf("config schema: %w", err)
	}
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "rota.yaml"
	s.Description = "What Rota rotates, where, and when."
	s.Properties["connections"].PropertyNames = &jsonschema.Schema{Pattern: connectionName.String()}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("config schema: %w", err)
	}
	return append(text, '\n'), nil
}

// leafSchemas are the leaves', before their tags are looked at.
func leafSchemas() map[reflect.Type]*jsonschema.Schema {
	text := func() *jsonschema.Schema { return &jsonschema.Schema{Type: "string"} }
	return map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[Text]():                    text(),
		reflect.TypeFor[Plain]():                   text(),
		reflect.TypeFor[provider.ConnectionName](): text(),
		reflect.TypeFor[Name]():                    {Type: "string", Pattern: provider.SecretName.String(), MaxLength: new(provider.MaxName)},
		reflect.TypeFor[Duration]():                {Type: "string", Pattern: durationPattern},
		reflect.TypeFor[Int]():                     {Type: "integer"},
		reflect.TypeFor[provider.Mode]():           {Type: "string", Pattern: provider.FileMode.String()},
		reflect.TypeFor[Bool]():                    {Type: "boolean"},
	}
}

// schemaFor is the schema of a type of the file, with what its tags say.
func (c *Catalog) schemaFor(t reflect.Type) (*jsonschema.Schema, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	types := leafSchemas()
	if embedded, ok := leafOf(t); ok {
		s := types[embedded]
		refineLeaf(s, embedded, "")
		return s, nil
	}
	var err error
	// What is written in more than one shape, or holds one of the kinds, is put
	// together here; the generator would not know it.
	special := func(t reflect.Type, make func() (*jsonschema.Schema, error)) {
		if err == nil {
			types[t], err = make()
		}
	}
	if t == reflect.TypeFor[Document]() {
		special(reflect.TypeFor[Notice](), c.noticeSchema)
		special(reflect.TypeFor[Checks](), c.checksSchema)
		for _, with := range []reflect.Type{
			reflect.TypeFor[Connection](), reflect.TypeFor[Issuer](), reflect.TypeFor[Store](), reflect.TypeFor[Target](), reflect.TypeFor[Reload](),
		} {
			special(with, func() (*jsonschema.Schema, error) { return c.schemaFor(with) })
		}
	}
	if err != nil {
		return nil, err
	}
	types[reflect.TypeFor[Choice]()] = &jsonschema.Schema{}
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: types})
	if err != nil {
		return nil, err
	}
	return s, c.refine(s, t, "")
}

// leafOf is the leaf that a type is, or embeds as all of its value.
func leafOf(t reflect.Type) (reflect.Type, bool) {
	if _, ok := leafSchemas()[t]; ok {
		return t, true
	}
	if _, ok := reflect.New(t).Interface().(provider.Leaf); !ok || t.Kind() != reflect.Struct {
		return nil, false
	}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			return leafOf(f.Type)
		}
	}
	return nil, false
}

// checksSchema is one check or a list of them.
func (c *Catalog) checksSchema() (*jsonschema.Schema, error) {
	one, err := c.schemaFor(reflect.TypeFor[Check]())
	if err != nil {
		return nil, err
	}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{one, {Type: "array", Items: one.CloneSchemas()}}}, nil
}

// noticeSchema is a connection's name, or what it is to hear of.
func (c *Catalog) noticeSchema() (*jsonschema.Schema, error) {
	parts, err := c.schemaFor(reflect.TypeFor[NoticeParts]())
	if err != nil {
		return nil, err
	}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string", MinLength: new(1)}, parts}}, nil
}

// refine adds what the tags say and the generator does not know, and takes
// away the nulls that it allows and the decoder refuses.
func (c *Catalog) refine(s *jsonschema.Schema, t reflect.Type, tag reflect.StructTag) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for _, name := range s.Types {
		if name != "null" {
			s.Type = name
		}
	}
	s.Types = nil
	if leaf, ok := leafOf(t); ok {
		refineLeaf(s, leaf, tag)
		return nil
	}
	switch t.Kind() {
	case reflect.Map:
		return c.refine(s.AdditionalProperties, t.Elem(), tag)
	case reflect.Slice, reflect.Array:
		if s.Items != nil {
			return c.refine(s.Items, t.Elem(), tag)
		}
	case reflect.Struct:
		if s.Properties == nil || len(s.OneOf) > 0 {
			return nil // put together already
		}
		return c.refineStruct(s, t)
	}
	return nil
}

// refineStruct is refine for a struct, which may hold one of the kinds.
func (c *Catalog) refineStruct(s *jsonschema.Schema, t reflect.Type) error {
	for _, f := range c.fields(t) {
		if f.kind != nil {
			one, err := c.schemaFor(reflect.TypeOf(f.kind.make()))
			if err != nil {
				return err
			}
			one.Description = f.kind.Summary
			s.Properties[f.key] = one
			s.PropertyOrder = append(s.PropertyOrder, f.key)
		} else if err := c.refine(s.Properties[f.key], f.typ, f.tag); err != nil {
			return err
		}
		if byDefault := f.tag.Get("default"); byDefault != "" {
			s.Properties[f.key].Description += " Defaults to " + byDefault + "."
		}
		if f.group != "" {
			s.OneOf = append(s.OneOf, &jsonschema.Schema{Required: []string{f.key}})
		}
	}
	return nil
}

func refineLeaf(s *jsonschema.Schema, t reflect.Type, tag reflect.StructTag) {
	switch t {
	case reflect.TypeFor[Plain](), reflect.TypeFor[Text](), reflect.TypeFor[provider.ConnectionName]():
		if known := tag.Get("enum"); known != "" {
			for word := range strings.SplitSeq(known, ",") {
				s.Enum = append(s.Enum, word)
			}
		} else if tag.Get("empty") == "" {
			one := 1
			s.MinLength = &one
		}
	case reflect.TypeFor[Int]():
		low, high := provider.Bounds(tag)
		s.Minimum, s.Maximum = new(float64(low)), new(float64(high))
	}
}

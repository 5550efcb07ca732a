package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/rota-dev/rota/provider"
)

// durationPattern approximates what [rota.ParseDuration] accepts, well enough
// for editors.
const durationPattern = `^\s*([0-9]+w)?([0-9]+d)?([0-9.]+(ns|us|µs|μs|ms|s|m|h)|0)*\s*$`

// Schema returns the JSON Schema of rota.yaml, which editors use to complete
// and check it. It's generated from the types that the file is decoded into. It
// accepts every file that [Catalog.Load] accepts; Load rejects more, such as
// unknown connections.
func (c *Catalog) Schema() ([]byte, error) {
	s, err := c.schemaFor(reflect.TypeFor[Document]())
	if err != nil {
		return nil, fmt.Errorf("config schema: %w", err)
	}
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "rota.yaml"
	s.Description = "What Rota rotates, where, and when."
	s.AnyOf = []*jsonschema.Schema{{Required: []string{"secrets"}}, {Required: []string{"include"}}}
	s.Properties["connections"].PropertyNames = &jsonschema.Schema{Pattern: connectionName.String()}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("config schema: %w", err)
	}
	return append(text, '\n'), nil
}

// leafSchemas returns the leaf types' schemas, before their tags are applied.
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

// schemaFor returns the schema of one of the file's types, with its tags
// applied.
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
	// Values with several shapes, or that hold one of the kinds, are assembled
	// here because the generator doesn't know about them.
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

// leafOf returns the leaf that a type is, or embeds as its entire value.
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

// checksSchema is the schema of one check or a list of them.
func (c *Catalog) checksSchema() (*jsonschema.Schema, error) {
	one, err := c.schemaFor(reflect.TypeFor[Check]())
	if err != nil {
		return nil, err
	}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{one, {Type: "array", Items: one.CloneSchemas()}}}, nil
}

// noticeSchema is the schema of a connection's name, or of a mapping that
// selects events.
func (c *Catalog) noticeSchema() (*jsonschema.Schema, error) {
	parts, err := c.schemaFor(reflect.TypeFor[NoticeParts]())
	if err != nil {
		return nil, err
	}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string", MinLength: new(1)}, parts}}, nil
}

// refine adds what the tags specify and the generator doesn't know. It also
// removes the nulls that the generator allows but the decoder rejects.
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
			return nil // already assembled
		}
		return c.refineStruct(s, t)
	}
	return nil
}

// refineStruct is refine for a struct, which can hold one of the kinds.
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

// SecretSchema returns the schema of one secret without its name, which a resource
// in a cluster has elsewhere.
func (c *Catalog) SecretSchema() (*jsonschema.Schema, error) {
	whole, err := c.schemaFor(reflect.TypeFor[Document]())
	if err != nil {
		return nil, fmt.Errorf("config schema: %w", err)
	}
	s := whole.Properties["secrets"].Items
	delete(s.Properties, "name")
	s.Required = slices.DeleteFunc(s.Required, func(key string) bool { return key == "name" })
	return s, nil
}

// ConnectionSchema returns the schema of one connection.
func (c *Catalog) ConnectionSchema() (*jsonschema.Schema, error) {
	whole, err := c.schemaFor(reflect.TypeFor[Document]())
	if err != nil {
		return nil, fmt.Errorf("config schema: %w", err)
	}
	return whole.Properties["connections"].AdditionalProperties, nil
}

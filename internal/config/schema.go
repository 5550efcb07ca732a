package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// durationPattern is what [rota.ParseDuration] takes, near enough for editors.
const durationPattern = `^\s*([0-9]+w)?([0-9]+d)?([0-9.]+(ns|us|µs|μs|ms|s|m|h)|0)*\s*$`

// Schema is the JSON Schema of rota.yaml, generated from the types that the
// file is decoded into, for editors to complete and check by. It takes every
// file that [Load] takes; Load refuses more, such as unknown connections.
func Schema() ([]byte, error) {
	s, err := schemaFor(reflect.TypeFor[Document]())
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

func schemaFor(t reflect.Type) (*jsonschema.Schema, error) {
	text := func() *jsonschema.Schema { return &jsonschema.Schema{Type: "string"} }
	checks, err := checksSchema()
	if err != nil {
		return nil, err
	}
	notice, err := noticeSchema()
	if err != nil {
		return nil, err
	}
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[Text]():     text(),
		reflect.TypeFor[Plain]():    text(),
		reflect.TypeFor[Name]():     {Type: "string", Pattern: secretName.String(), MaxLength: new(maxName)},
		reflect.TypeFor[Duration](): {Type: "string", Pattern: durationPattern},
		reflect.TypeFor[Int]():      {Type: "integer"},
		reflect.TypeFor[Mode]():     {Type: "string", Pattern: fileMode.String()},
		reflect.TypeFor[Bool]():     {Type: "boolean"},
		reflect.TypeFor[Checks]():   checks,
		reflect.TypeFor[Notice]():   notice,
	}})
	if err != nil {
		return nil, err
	}
	refine(s, t, "")
	return s, nil
}

// checksSchema is one check or a list of them.
func checksSchema() (*jsonschema.Schema, error) {
	text := &jsonschema.Schema{Type: "string"}
	one, err := jsonschema.For[Check](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{reflect.TypeFor[Text](): text}})
	if err != nil {
		return nil, err
	}
	refine(one, reflect.TypeFor[Check](), "")
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{one, {Type: "array", Items: one.CloneSchemas()}}}, nil
}

// noticeSchema is a connection's name, or what it is to hear of.
func noticeSchema() (*jsonschema.Schema, error) {
	parts, err := jsonschema.For[NoticeParts](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[Plain]():    {Type: "string"},
		reflect.TypeFor[Duration](): {Type: "string", Pattern: durationPattern},
	}})
	if err != nil {
		return nil, err
	}
	refine(parts, reflect.TypeFor[NoticeParts](), "")
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string", MinLength: new(1)}, parts}}, nil
}

// refine adds what the tags say and the generator does not know, and takes
// away the nulls that it allows and the decoder refuses.
func refine(s *jsonschema.Schema, t reflect.Type, tag reflect.StructTag) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for _, name := range s.Types {
		if name != "null" {
			s.Type = name
		}
	}
	s.Types = nil
	if _, isLeaf := reflect.New(t).Interface().(leaf); isLeaf {
		refineLeaf(s, t, tag)
		return
	}
	switch t.Kind() {
	case reflect.Map:
		refine(s.AdditionalProperties, t.Elem(), tag)
	case reflect.Slice, reflect.Array:
		refine(s.Items, t.Elem(), tag)
	case reflect.Struct:
		groups := map[string][]string{}
		var order []string
		for _, f := range fieldsOf(t) {
			refine(s.Properties[f.key], f.typ, f.tag)
			if f.group != "" {
				if groups[f.group] == nil {
					order = append(order, f.group)
				}
				groups[f.group] = append(groups[f.group], f.key)
			}
		}
		for _, g := range order {
			for _, key := range groups[g] {
				s.OneOf = append(s.OneOf, &jsonschema.Schema{Required: []string{key}})
			}
		}
	}
}

func refineLeaf(s *jsonschema.Schema, t reflect.Type, tag reflect.StructTag) {
	switch t {
	case reflect.TypeFor[Plain](), reflect.TypeFor[Text]():
		if known := tag.Get("enum"); known != "" {
			for word := range strings.SplitSeq(known, ",") {
				s.Enum = append(s.Enum, word)
			}
		} else if tag.Get("empty") == "" {
			one := 1
			s.MinLength = &one
		}
	case reflect.TypeFor[Int]():
		low, high := bounds(tag)
		s.Minimum, s.Maximum = new(float64(low)), new(float64(high))
	}
}

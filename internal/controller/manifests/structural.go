package manifests

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// maxItems bounds every list that has no bound of its own: the API server refuses
// rules whose cost it can't bound.
const maxItems = 64

// structural turns a schema of rota.yaml into a structural one, which is all that the
// API server takes: one type for each value, and junctions without types. It returns
// an error for what it can't express, so that nothing gets lost unseen.
func structural(s *jsonschema.Schema, path string) (object, error) {
	if s.AnyOf != nil || s.AllOf != nil || s.Not != nil || s.Ref != "" || len(s.Types) > 0 {
		return nil, fmt.Errorf("%s: the schema has a keyword that structural schemas lack", path)
	}
	out := object{}
	if s.Description != "" {
		out["description"] = s.Description
	}
	if s.Type == "" {
		return mixed(s, out, path)
	}
	out["type"] = s.Type
	bounds(s, out)
	switch s.Type {
	case "array":
		if _, bounded := out["maxItems"]; !bounded {
			out["maxItems"] = maxItems
		}
		if s.Items == nil {
			return nil, fmt.Errorf("%s: a list of anything", path)
		}
		items, err := structural(s.Items, path+"[]")
		out["items"] = items
		return out, err
	case "object":
		return fields(s, out, path)
	}
	return out, nil
}

// mixed is a value of several types: a mapping or a list of such mappings becomes the
// list, and a text or a mapping stays open. Rota's own validation reports what's wrong
// with the latter.
func mixed(s *jsonschema.Schema, out object, path string) (object, error) {
	if len(s.OneOf) != 2 {
		return nil, fmt.Errorf("%s: a value of any type", path)
	}
	if s.OneOf[1].Type == "array" {
		list, err := structural(s.OneOf[1], path)
		if err == nil && s.Description != "" {
			list["description"] = s.Description
		}
		return list, err
	}
	out["x-kubernetes-preserve-unknown-fields"] = true
	return out, nil
}

// fields is a mapping: with keys of its own, or with any.
func fields(s *jsonschema.Schema, out object, path string) (object, error) {
	var errs []error
	properties := object{}
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		p, err := structural(s.Properties[key], path+"."+key)
		errs = append(errs, err)
		properties[key] = p
	}
	if len(properties) > 0 {
		out["properties"] = properties
		if len(s.Required) > 0 {
			out["required"] = texts(s.Required)
		}
		if err := choice(s, out, path); err != nil {
			errs = append(errs, err)
		}
		return out, errors.Join(errs...)
	}
	if s.AdditionalProperties == nil || s.AdditionalProperties.Not != nil { // no keys at all
		return out, errors.Join(errs...)
	}
	values, err := structural(s.AdditionalProperties, path+".*")
	out["additionalProperties"] = values
	return out, err
}

// choice turns "exactly one of these keys" into a rule, whose message names the keys:
// that of a failed oneOf doesn't.
func choice(s *jsonschema.Schema, out object, path string) error {
	if len(s.OneOf) == 0 {
		return nil
	}
	var keys, has []string
	for _, one := range s.OneOf {
		if len(one.Required) != 1 || one.Type != "" || one.Properties != nil {
			return fmt.Errorf("%s: oneOf is more than a choice between keys", path)
		}
		keys = append(keys, one.Required[0])
		has = append(has, "has(self."+one.Required[0]+")")
	}
	out["x-kubernetes-validations"] = []any{object{
		"rule":    "[" + strings.Join(has, ", ") + "].exists_one(given, given)",
		"message": "needs exactly one of " + strings.Join(keys, ", "),
	}}
	return nil
}

// bounds are the keywords that both kinds of schemas have.
func bounds(s *jsonschema.Schema, out object) {
	if s.Enum != nil {
		out["enum"] = s.Enum
	}
	if s.Pattern != "" {
		out["pattern"] = s.Pattern
	}
	for key, bound := range map[string]*int{"minLength": s.MinLength, "maxLength": s.MaxLength, "minItems": s.MinItems, "maxItems": s.MaxItems} {
		if bound != nil {
			out[key] = *bound
		}
	}
	for key, bound := range map[string]*float64{"minimum": s.Minimum, "maximum": s.Maximum} {
		if bound != nil {
			out[key] = int64(*bound)
		}
	}
}

func texts(list []string) []any {
	var out []any
	for _, text := range list {
		out = append(out, text)
	}
	return out
}

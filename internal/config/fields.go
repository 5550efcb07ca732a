package config

import (
	"reflect"
	"strings"
)

// field is one key of a mapping, as a struct's tags describe it.
type field struct {
	key      string
	index    []int
	typ      reflect.Type
	required bool
	group    string // the one-of group
	kind     *kind  // a kind that the Choice at index can hold; nil for any other field
	tag      reflect.StructTag
}

// fields lists the keys of a struct, including those of embedded structs and of
// the kinds it can hold.
func (c *Catalog) fields(t reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		if in := f.Tag.Get("kinds"); in != "" {
			for _, k := range c.kinds[role(in)] {
				fields = append(fields, field{key: k.Key, index: f.Index, group: "kind", kind: k})
			}
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "" || name == "-" {
			continue
		}
		fields = append(fields, field{
			key:      name,
			index:    f.Index,
			typ:      f.Type,
			required: options == "",
			group:    f.Tag.Get("oneof"),
			tag:      f.Tag,
		})
	}
	return fields
}

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
	tag      reflect.StructTag
}

// fieldsOf lists the keys of a struct, those of embedded structs included.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
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

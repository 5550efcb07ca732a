package config

import (
	"reflect"

	"github.com/rota-dev/rota/provider"
)

// walk visits every leaf of a configuration, so that a configuration doesn't
// have to list them.
func walk(config any, visit func(leaf any)) {
	if config != nil {
		walkValue(reflect.ValueOf(config), visit)
	}
}

func walkValue(v reflect.Value, visit func(leaf any)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walkValue(v.Elem(), visit)
		}
	case reflect.Struct:
		if v.CanInterface() { // an unexported embedded struct can't, and isn't a leaf
			switch leaf := v.Interface().(type) {
			case provider.Text, provider.ConnectionName:
				visit(leaf)
				return
			case Choice:
				walk(leaf.config, visit)
				return
			}
		}
		for _, f := range reflect.VisibleFields(v.Type()) {
			if len(f.Index) == 1 && (f.IsExported() || f.Anonymous) {
				walkValue(v.FieldByIndex(f.Index), visit)
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			walkValue(v.MapIndex(key), visit)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walkValue(v.Index(i), visit)
		}
	}
}

// textsOf returns the texts of a configuration.
func textsOf(config any) []Text {
	var texts []Text
	walk(config, func(leaf any) {
		if t, ok := leaf.(Text); ok {
			texts = append(texts, t)
		}
	})
	return texts
}

// connectionsOf returns the connections that a configuration names.
func connectionsOf(config any) []provider.ConnectionName {
	var names []provider.ConnectionName
	walk(config, func(leaf any) {
		if c, ok := leaf.(provider.ConnectionName); ok && c.Text != "" {
			names = append(names, c)
		}
	})
	return names
}

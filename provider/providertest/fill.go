package providertest

import (
	"fmt"
	"reflect"
	"time"
)

// fill gives every field below p a value that is not zero, always the same, so
// that a field that was added since is tested too.
func fill(p any) {
	f := filler{open: map[reflect.Type]int{}}
	f.value(reflect.ValueOf(p).Elem())
}

// filler knows the structs that it is inside of: one that can hold its like is
// filled with one, and that with none.
type filler struct {
	n    int
	open map[reflect.Type]int
}

func (f *filler) value(v reflect.Value) {
	f.n++
	n := f.n
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, n%60, 0, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("value %d with \"quotes\", a ' and ünïcode", n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Struct:
		f.open[v.Type()]++
		for _, field := range v.Fields() {
			f.value(field)
		}
		f.open[v.Type()]--
	case reflect.Pointer:
		if f.open[v.Type().Elem()] > 1 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		f.value(v.Elem())
	case reflect.Slice:
		if f.open[v.Type().Elem()] > 1 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.value(v.Index(0))
		f.value(v.Index(1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.value(key)
			f.value(value)
			v.SetMapIndex(key, value)
		}
	default:
		panic(fmt.Sprintf("providertest can't fill a %s", v.Type()))
	}
}

// scramble changes everything that p leads to, in place: whoever shares a map,
// a list or a pointer with it will notice.
func scramble(p any) {
	scrambleValue(reflect.ValueOf(p).Elem())
}

func scrambleValue(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("scrambled")
	case reflect.Int, reflect.Int64:
		v.SetInt(-1)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.Zero(v.Type()))
			return
		}
		for _, field := range v.Fields() {
			scrambleValue(field)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			scrambleValue(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			scrambleValue(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			scrambleValue(value) // maps and lists inside are shared, and scrambled
			v.SetMapIndex(key, reflect.Value{})
		}
	}
}

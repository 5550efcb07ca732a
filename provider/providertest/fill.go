package providertest

import (
	"fmt"
	"reflect"
	"time"
)

// fill sets every field below p to a nonzero value, always the same one. It
// covers fields added later automatically.
func fill(p any) {
	f := filler{open: map[reflect.Type]int{}}
	f.value(reflect.ValueOf(p).Elem())
}

// filler tracks the structs it is inside of, to end recursion: a struct that
// can contain its own type is filled with one more level, which stays empty.
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

// scramble changes everything reachable from p in place, so that anyone who
// shares a map, a list or a pointer with it will notice.
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
			scrambleValue(value) // maps and lists inside are shared, so scramble them too
			v.SetMapIndex(key, reflect.Value{})
		}
	}
}

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
)

// Typed is a secret parsed into a T.
type Typed[T any] struct {
	secret *Secret
	last   atomic.Pointer[parsed[T]]
}

// parsed is what was made of one version.
type parsed[T any] struct {
	from  *content
	value T
}

// JSON returns a handle that parses the secret's text as JSON into a T, once for
// each version.
func JSON[T any](s *Secret) *Typed[T] { return &Typed[T]{secret: s} }

// Get returns the current value, parsed. Everyone gets the same T, so don't change
// what it points to. If a new version can't be parsed, the last one that could
// stays, and the log says so.
func (t *Typed[T]) Get(ctx context.Context) (T, error) {
	v, err := t.secret.Get(ctx)
	if err != nil {
		var none T
		return none, err
	}
	last := t.last.Load()
	if last != nil && last.from == v.content {
		return last.value, nil
	}
	return t.parse(v, last)
}

func (t *Typed[T]) parse(v Value, last *parsed[T]) (T, error) {
	next := &parsed[T]{from: v.content}
	if err := json.Unmarshal([]byte(v.Text()), &next.value); err != nil {
		err = fmt.Errorf("secret %q, version %s: %w", t.secret.name, v.Version(), withoutValues(err))
		if last == nil {
			var none T
			return none, err
		}
		t.secret.client.o.Logger.Error("a new version can't be parsed; the one before stays", "error", err)
		next.value = last.value
	}
	t.last.CompareAndSwap(last, next)
	return next.value, nil
}

// withoutValues describes an error of package json, whose own text may quote the
// value.
func withoutValues(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("field %q is not a JSON value for the type %s", wrong.Field, wrong.Type)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it isn't JSON (at byte %d)", syntax.Offset)
	}
	return errors.New("its JSON doesn't fit the type")
}

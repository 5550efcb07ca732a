package client

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/rota-dev/rota"
)

// What a source answers besides a value, for [errors.Is].
var (
	// ErrUnchanged: the version in [Request].Have is still the current one.
	ErrUnchanged = errors.New("the secret hasn't changed")
	// ErrNotFound: there is no such secret, or it has no such version. The client
	// doesn't wait for one to appear.
	ErrNotFound = rota.ErrNotFound
	// ErrDenied: the program may not read the secret. The client doesn't wait for
	// that to change, and forgets what its cache has.
	ErrDenied = errors.New("reading the secret isn't allowed")
)

// Source is where values come from. It's used from several goroutines at once.
type Source interface {
	// Fetch reads a secret. It returns [ErrUnchanged] if the version that the
	// caller has is still the current one, [ErrNotFound] or [ErrDenied] if asking
	// again is no use, and any other error if it may be. Its errors never hold a
	// value.
	Fetch(ctx context.Context, r Request) (Value, error)
}

// Request asks for a version of a secret.
type Request struct {
	// Secret is its name.
	Secret string
	// Have is the version that the caller has; "" for none.
	Have string
	// Previous asks for the version before the current one, instead of the
	// current one.
	Previous bool
	// Instance is the name of the program that reads, as in [Report]: from then on it
	// holds the version.
	Instance string
}

// Pusher is a Source that can tell when secrets change.
type Pusher interface {
	Source
	// Push calls changed with the name of each secret that may have changed, until
	// ctx ends or the connection is lost, and returns why. It calls changed with ""
	// when anything may have changed: at least once when it's connected, for what
	// happened before. It returns [errors.ErrUnsupported] if it can't push after
	// all. It may call changed from several goroutines at once.
	Push(ctx context.Context, changed func(secret string)) error
}

// Static is a source with fixed values by name, for tests and for development.
type Static map[string]Value

// Fetch implements [Source].
func (s Static) Fetch(_ context.Context, r Request) (Value, error) {
	v, ok := s[r.Secret]
	switch {
	case !ok || r.Previous:
		return Value{}, fmt.Errorf("secret %q: %w", r.Secret, ErrNotFound)
	case v.Version() == r.Have:
		return Value{}, ErrUnchanged
	}
	return v, nil
}

// Chain returns a source that asks the first source, and for a secret that this
// one doesn't have or can't give, the next, and so on. A secret that the program
// may not read isn't looked for elsewhere.
//
// While an earlier source is away, a later one's value takes its place. Let them
// agree on their versions, or hold different secrets.
//
// Changes are pushed by those sources that can. If one of them can't, the client
// also asks at intervals ([Options].Every).
func Chain(sources ...Source) Source {
	c := &chain{sources: sources}
	for _, source := range sources {
		if _, ok := source.(Pusher); !ok {
			c.partial.Store(true)
		}
	}
	return c
}

type chain struct {
	sources []Source
	partial atomic.Bool // not every source can push
}

func (c *chain) Fetch(ctx context.Context, r Request) (Value, error) {
	var failures []error
	for _, source := range c.sources {
		v, err := source.Fetch(ctx, r)
		if err == nil || errors.Is(err, ErrUnchanged) || errors.Is(err, ErrDenied) {
			return v, err
		}
		failures = append(failures, err)
	}
	return Value{}, chainError(failures)
}

// Report tells all sources that take reports.
func (c *chain) Report(ctx context.Context, r Report) (Reported, error) {
	var all Reported
	var failures []error
	took := false
	for _, source := range c.sources {
		to, ok := source.(Reporter)
		if !ok {
			continue
		}
		answer, err := to.Report(ctx, r)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			continue
		case err != nil:
			failures = append(failures, err)
		case !took || answer.Next < all.Next:
			all.Next = answer.Next
		}
		took = true
	}
	if !took {
		return Reported{}, errors.ErrUnsupported
	}
	// What one source refuses may be another's.
	return all, errors.Join(failures...)
}

// chainError is no [ErrNotFound] if any source might yet have the secret.
func chainError(failures []error) error {
	var passing []error
	for _, err := range failures {
		if !errors.Is(err, ErrNotFound) {
			passing = append(passing, err)
		}
	}
	if len(passing) > 0 {
		return errors.Join(passing...)
	}
	return errors.Join(failures...)
}

// Push follows every source that can push, until one is lost.
func (c *chain) Push(ctx context.Context, changed func(string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error)
	following := 0
	for _, source := range c.sources {
		if p, ok := source.(Pusher); ok {
			following++
			go func() { ended <- p.Push(ctx, changed) }()
		}
	}
	lost := errors.ErrUnsupported
	for range following {
		err := <-ended
		if errors.Is(err, errors.ErrUnsupported) {
			c.partial.Store(true)
			changed("")
			continue
		}
		lost = err
		cancel(err) // all begin again together
	}
	return lost
}

// pushesAll reports whether the source pushes the changes of all its secrets.
func pushesAll(s Source) bool {
	c, ok := s.(*chain)
	if !ok {
		return true
	}
	for _, source := range c.sources {
		if !pushesAll(source) {
			return false
		}
	}
	return !c.partial.Load()
}

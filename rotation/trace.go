package rotation

import (
	"context"
	"github.com/rota-dev/rota"
)

// Span is a piece of work from beginning to end: a turn, a step of it, or a call
// to an outside system. It names things and holds no value.
type Span struct {
	// Name is "turn", "observe", a step such as "step.create", or a call such as
	// "store.get": the role that is called, and the method.
	Name   string
	Secret string
	Step   rota.Step // of a step
	// Version and Credential are those that a step is about, where they are
	// known when it begins.
	Version, Credential string
	// Object is what a call is about: the target's, reloader's, check's or
	// notifier's name, a version, a label, or the issuer's name of a credential.
	Object string
}

// Tracer is called as each span begins. It returns the context for everything
// within, and a function that is called with the span's error when it ends; the
// error holds no value. A Tracer is called concurrently and must not block.
type Tracer func(ctx context.Context, s Span) (context.Context, func(error))

// JoinTracers is one Tracer for several, the first outermost. It skips nil ones,
// and is nil if there is no other.
func JoinTracers(tracers ...Tracer) Tracer {
	var joined Tracer
	for _, t := range tracers {
		switch outer := joined; {
		case t == nil:
		case outer == nil:
			joined = t
		default:
			joined = func(ctx context.Context, s Span) (context.Context, func(error)) {
				ctx, endOuter := outer(ctx, s)
				ctx, end := t(ctx, s)
				return ctx, func(err error) { end(err); endOuter(err) }
			}
		}
	}
	return joined
}

// untraced is the Tracer of a Rotator that has none.
func untraced(ctx context.Context, _ Span) (context.Context, func(error)) {
	return ctx, func(error) {}
}

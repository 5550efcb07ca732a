package rotation

import (
	"context"
	"github.com/rota-dev/rota"
)

// Span is a unit of work: a turn, one of its steps, or a call to an outside
// system. It only contains names, never a secret's value.
type Span struct {
	// Name is "turn", "observe", a step such as "step.create", or a call such as
	// "store.get" (the role and the method that's called).
	Name   string
	Secret string
	Step   rota.Step // for a step
	// Version and Credential are the ones that a step acts on, if they're known
	// when it begins.
	Version, Credential string
	// Object is what a call acts on: the name of a target, reloader, check or
	// notifier, a version, a label, or the issuer's name for a credential.
	Object string
}

// Tracer is called when a span begins. It returns the context for everything in
// the span, and a function to call with the span's error when it ends. The error
// never contains a secret's value. A Tracer must be safe to call concurrently and
// must not block.
type Tracer func(ctx context.Context, s Span) (context.Context, func(error))

// JoinTracers combines several Tracers into one, the first outermost. It skips nil
// ones and returns nil if there are no others.
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

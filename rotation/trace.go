package rotation

import (
	"context"
	"github.com/rota-dev/rota"
)

// Span is a part of the work, from its begin to its end: a turn, a step of it,
// or a call to an outside system. It names things and holds no value.
type Span struct {
	// Name is "turn", "observe", a step as "step.create", or a call as
	// "store.get": the role that is called and what it is to do.
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

// Tracer hears of every span as it begins. What it gives is the context for all
// that happens within, and what is called with how the span ended; the error
// holds no value. A Tracer is called from several goroutines and must not block.
type Tracer func(ctx context.Context, s Span) (context.Context, func(error))

// JoinTracers is one Tracer for several: the first is outermost. Those that are
// nil are left out; without any other it is nil.
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

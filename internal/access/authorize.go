package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// ErrUnrecorded means that a refusal could not be audited. The caller is
// refused anyway.
var ErrUnrecorded = errors.New("the refusal could not be written to the audit")

// Attempt is what a caller is about to do, for [Authorize].
type Attempt struct {
	Action Action    // the permission that it needs
	Op     string    // its name in the audit
	At     time.Time // now
}

// Authorize checks that the caller may do this to each of the secrets; "" is
// Rota itself. Every operation is authorized here, and a refusal is audited
// before it is returned. The error wraps [ErrDenied], and also [ErrUnrecorded]
// if the refusal could not be audited. A nil recorder records nothing: for a
// machine that has no store yet.
func Authorize(ctx context.Context, c Caller, to Recorder, a Attempt, secrets ...string) error {
	var denied error
	var entries []rotation.Entry
	for _, secret := range secrets {
		err := c.Check(a.Action, secret)
		if err == nil {
			continue
		}
		if denied == nil {
			denied = err
		}
		entries = append(entries, c.Entry(a.At, a.Op, secret, rotation.OutcomeDenied, ""))
	}
	if denied == nil {
		return nil
	}
	return refuse(ctx, denied, to, entries...)
}

// refuse records a refusal, even if the caller has gone away, and returns it.
func refuse(ctx context.Context, denied error, to Recorder, entries ...rotation.Entry) error {
	if to == nil {
		return denied
	}
	if err := to.Record(context.WithoutCancel(ctx), entries...); err != nil {
		return errors.Join(denied, fmt.Errorf("%w: %w", ErrUnrecorded, err))
	}
	return denied
}

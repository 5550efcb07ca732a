package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// moved are keys of an account that has another name by now: nothing that's asked about
// it is found.
type moved struct {
	*memory.AccessKeys
	deleting, deactivating bool
}

var errMoved = &rota.Error{System: "iam", Op: "delete access key", Class: rota.ClassStop, Err: fmt.Errorf("there's no user app: %w", rota.ErrNotFound)}

func (m *moved) Delete(ctx context.Context, r rota.RetireRequest) error {
	if m.deleting {
		return errMoved
	}
	return m.AccessKeys.Delete(ctx, r)
}

func (m *moved) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	if m.deactivating {
		return errMoved
	}
	return m.AccessKeys.Deactivate(ctx, r)
}

// To delete what's gone is no error. So what isn't found when a credential is to be
// deleted is something else, and the credential may still be valid.
func TestWhatIsNotFoundWhenDeletingIsNotTheCredential(t *testing.T) {
	b := newBench(t)
	keys := &moved{AccessKeys: b.keys}
	b.secret.Issuer = keys
	b.advance(t, rotation.Options{})
	b.days(90)
	b.advance(t, rotation.Options{})
	b.days(10)
	b.advance(t, rotation.Options{})
	b.days(11)
	keys.deleting = true
	_, err := b.rotator.Advance(t.Context(), b.secret, rotation.Options{})
	if !errors.Is(err, rota.ErrNotFound) || !strings.Contains(err.Error(), "no user app") {
		t.Errorf("it says %v", err)
	}
	if c, err := b.store.Describe(t.Context()); err != nil || !hasLabel(c.Versions, rota.LabelPrevious) {
		t.Errorf("the previous version was dropped, and its key is there: %v (%v)", c.Versions, err)
	}
	if f := b.progress(t).Failure; f == nil || f.Step != rota.StepDelete {
		t.Errorf("the failure is %+v", f)
	}
	keys.deleting = false
	b.days(1)
	b.advance(t, rotation.Options{})
	if n := len(b.keys.Keys()); n != 1 {
		t.Errorf("%d keys are left", n)
	}
}

// Somebody deleted the previous key between the list and the call.
func TestAKeyThatIsGoneIsDeactivated(t *testing.T) {
	b := newBench(t)
	keys := &moved{AccessKeys: b.keys, deactivating: true}
	b.secret.Issuer = keys
	b.advance(t, rotation.Options{})
	b.days(90)
	b.advance(t, rotation.Options{})
	b.days(10)
	if got := steps(b.advance(t, rotation.Options{})); got != "deactivate" {
		t.Errorf("it did %q", got)
	}
}

func hasLabel(versions []rota.Version, l rota.Label) bool {
	_, there := rota.Find(versions, l)
	return there
}

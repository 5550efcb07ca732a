package providertest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rota-dev/rota"
)

// TargetFixture is a target that Rota hasn't delivered to yet.
type TargetFixture struct {
	Target rota.Target
	Polling
	// Inject makes the target's system fail; nil if it can't.
	Inject Inject
	// Credential returns the n-th of a series of distinct credentials. Defaults
	// to access keys.
	Credential func(n int) rota.Credential
	// Read returns what a reader of the target sees now, as a consistent whole,
	// or false if there is nothing yet. It can be called concurrently. nil if
	// the target can't be read.
	Read func() (rota.Credential, bool, error)
	// Writes returns how often the target's system was written to; nil if
	// there's no way to know.
	Writes func() int
}

type target struct{ TargetFixture }

// Target runs the suite for [rota.Target]. fixture is called once per case, and
// once before all of them to find out which cases apply.
func Target(t *testing.T, fixture func(t *testing.T) TargetFixture) {
	suite(std{t}, func(t T) *target {
		f := fixture(goTest(t))
		if f.Credential == nil {
			f.Credential = sample
		}
		return &target{f}
	}, []conformance[*target]{
		{"the name is stable", func(t T, x *target) { named(t, x.Target.Name) }, nil},
		{"a delivered credential can be read", testDeliver, (*target).readable},
		{"a repeated delivery changes nothing", testDeliverAgain, nil},
		{"an older credential can be delivered again, as in a rollback", testDeliverOlder, nil},
		{"readers see all of the old credential or all of the new one", testDeliverWhole, (*target).readable},
		{"methods can run concurrently", testDeliverTogether, nil},
		{"calls return when their context ends", testTargetContext, nil},
		{"preflight finds no problems and changes nothing", testTargetPreflight, (*target).preflight},
		faulty("faults: a call that fails before it takes effect can be repeated", FailBefore, testTargetFaults),
		faulty("faults: a call whose reply was lost can be made again", LoseReply, testTargetFaults),
		faulty("faults: a call that's sent twice does no harm", Repeat, testTargetFaults),
	})
}

func (x *target) readable() bool  { return x.Read != nil }
func (x *target) preflight() bool { return is[rota.Preflighter](x.Target) }

func (x *target) canFail(kind FaultKind) bool { return x.Inject.can(kind, "deliver") }

// request returns the n-th delivery.
func (x *target) request(n int) rota.DeliverRequest {
	return rota.DeliverRequest{Secret: "test/secret", Version: fmt.Sprintf("rota-00000000-0000-4000-8000-00000000%04d", n), Credential: x.Credential(n)}
}

func (x *target) deliver(ctx context.Context, t T, n int) error {
	t.Helper()
	err := x.Target.Deliver(ctx, x.request(n))
	safe(t, err, []string{rota.FieldAccessKeyID, rota.FieldUsername}, x.Credential(n))
	return err
}

func (x *target) mustDeliver(t T, n int) {
	t.Helper()
	if err := x.deliver(t.Context(), t, n); err != nil {
		t.Fatalf("deliver: %v", err)
	}
}

// holds waits until readers see the n-th credential.
func (x *target) holds(t T, n int) {
	t.Helper()
	if x.Read == nil {
		return
	}
	x.until(t, "reading what was delivered", func() error {
		got, found, err := x.Read()
		switch want := x.Credential(n); {
		case err != nil:
			return err
		case !found:
			return errors.New("there is nothing")
		case !got.Equal(want):
			return fmt.Errorf("it holds other values, or fields %v, want %v", got.Names(), want.Names())
		}
		return nil
	})
}

func testDeliver(t T, x *target) {
	for n := range 3 {
		x.mustDeliver(t, n)
		x.holds(t, n)
	}
}

func testDeliverAgain(t T, x *target) {
	x.mustDeliver(t, 1)
	writes := 0
	if x.Writes != nil {
		writes = x.Writes()
	}
	x.mustDeliver(t, 1)
	x.mustDeliver(t, 1)
	x.holds(t, 1)
	if x.Writes != nil && x.Writes() != writes {
		t.Errorf("what was there already was written %d times again", x.Writes()-writes)
	}
}

func testDeliverOlder(t T, x *target) {
	x.mustDeliver(t, 1)
	x.mustDeliver(t, 2)
	x.mustDeliver(t, 1)
	x.holds(t, 1)
}

func testDeliverWhole(t T, x *target) {
	x.mustDeliver(t, 0)
	x.holds(t, 0)
	const rounds = 20
	for _, err := range together(4, func(k int) error {
		for n := range rounds {
			if k == 0 {
				if err := x.deliver(t.Context(), t, n%2); err != nil {
					return err
				}
				continue
			}
			got, found, err := x.Read()
			if err != nil {
				return err
			}
			if !found || (!got.Equal(x.Credential(0)) && !got.Equal(x.Credential(1))) {
				return fmt.Errorf("a reader saw neither the old nor the new one (found: %v, fields %v)", found, got.Names())
			}
		}
		return nil
	}) {
		if err != nil {
			t.Error(err)
		}
	}
}

func testDeliverTogether(t T, x *target) {
	for _, err := range together(crowd, func(int) error {
		x.Target.Name()
		return x.deliver(t.Context(), t, 3)
	}) {
		if err != nil {
			t.Errorf("deliver the same at the same time: %v", err)
		}
	}
	x.holds(t, 3)
}

func testTargetContext(t T, x *target) {
	x.mustDeliver(t, 1)
	honours(t, "deliver", x.Inject, "deliver", func(ctx context.Context) error {
		return x.deliver(ctx, t, 2)
	})
	x.holds(t, 1)
}

func testTargetPreflight(t T, x *target) {
	x.mustDeliver(t, 1)
	preflight(t, x.Target)
	x.holds(t, 1)
}

func testTargetFaults(t T, x *target, kind FaultKind) {
	x.mustDeliver(t, 1)
	if !x.canFail(kind) {
		t.Fatal("the fixture can't do what it could before")
	}
	err := x.deliver(t.Context(), t, 2)
	switch {
	case kind == FailBefore && err == nil:
		t.Error("deliver succeeded although the target failed")
	case kind == FailBefore:
		x.holds(t, 1)
	case kind == Repeat && err != nil:
		t.Errorf("deliver, sent twice: %v", err)
	}
	x.mustDeliver(t, 2)
	x.holds(t, 2)
}

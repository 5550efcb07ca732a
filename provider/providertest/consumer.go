package providertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// ReloaderFixture is a reloader with healthy consumers.
type ReloaderFixture struct {
	Reloader rota.Reloader
	Polling
	// Inject makes the reloader's system fail; nil if it can't.
	Inject Inject
	// Running returns the version that the consumers run on, "" if none yet;
	// nil if there's no way to know.
	Running func() (string, error)
	// Sicken makes consumers become unhealthy at the next reload; nil if it
	// can't.
	Sicken func()
}

type reloader struct{ ReloaderFixture }

// The versions that the cases reload.
const (
	older = "rota-00000000-0000-4000-8000-000000000001"
	newer = "rota-00000000-0000-4000-8000-000000000002"
)

// Reloader runs the suite for [rota.Reloader]. fixture is called once per case,
// and once before all of them to find out which cases apply.
func Reloader(t *testing.T, fixture func(t *testing.T) ReloaderFixture) {
	cases := []conformance[*reloader]{
		{"the name is stable", func(t T, r *reloader) { named(t, r.Reloader.Name) }, nil},
		{"consumers run on the version when it returns", testReload, (*reloader).readable},
		{"the same version can be reloaded again", testReloadAgain, nil},
		{"methods can run concurrently", testReloadTogether, nil},
		{"unhealthy consumers cause an error", testSick, (*reloader).sickens},
		{"calls return when their context ends", func(t T, r *reloader) { honours(t, "reload", r.Inject, "reload", r.reload(older)) }, nil},
		{"preflight finds no problems", func(t T, r *reloader) { preflight(t, r.Reloader) }, (*reloader).preflight},
	}
	for _, kind := range []FaultKind{FailBefore, LoseReply, Repeat} {
		cases = append(cases, faulty("faults: a call that "+string(kind)+" can be made again", kind, testReloadFaults))
	}
	suite(std{t}, func(t T) *reloader { return &reloader{fixture(goTest(t))} }, cases)
}

func (r *reloader) readable() bool  { return r.Running != nil }
func (r *reloader) sickens() bool   { return r.Sicken != nil }
func (r *reloader) preflight() bool { return is[rota.Preflighter](r.Reloader) }

func (r *reloader) canFail(kind FaultKind) bool { return r.Inject.can(kind, "reload") }

// reload returns the call that reloads a version.
func (r *reloader) reload(version string) func(context.Context) error {
	return func(ctx context.Context) error {
		return r.Reloader.Reload(ctx, rota.ReloadRequest{Secret: "test/secret", Version: version})
	}
}

// runs checks which version the consumers run on. It doesn't wait, because
// Reload returns only once they run on it.
func (r *reloader) runs(t T, version string) {
	t.Helper()
	if r.Running == nil {
		return
	}
	if got, err := r.Running(); err != nil || got != version {
		t.Errorf("consumers run on %q (%v), want %q", got, err, version)
	}
}

func testReload(t T, r *reloader) {
	for _, version := range []string{older, newer} {
		if err := r.reload(version)(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.runs(t, version)
	}
}

func testReloadAgain(t T, r *reloader) {
	for range 3 {
		if err := r.reload(older)(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.runs(t, older)
}

func testReloadTogether(t T, r *reloader) {
	for _, err := range together(4, func(int) error {
		r.Reloader.Name()
		return r.reload(older)(t.Context())
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	r.runs(t, older)
}

func testSick(t T, r *reloader) {
	r.Sicken()
	if err := r.reload(older)(t.Context()); err == nil {
		t.Error("reload succeeded although its consumers are ill")
	}
}

func testReloadFaults(t T, r *reloader, kind FaultKind) {
	again(t, "reload", r.Inject, kind, r.reload(older))
	r.runs(t, older)
}

// again makes a call that fails, and then repeats it.
func again(t T, op string, inject Inject, kind FaultKind, call func(context.Context) error) {
	t.Helper()
	if !inject.can(kind, op) {
		t.Fatal("the fixture can't do what it could before")
	}
	if err := call(t.Context()); (err == nil) == (kind == FailBefore) && kind != LoseReply {
		t.Errorf("%s that %s gives %v", op, kind, err)
	}
	if err := call(t.Context()); err != nil {
		t.Fatalf("%s, made again: %v", op, err)
	}
}

// NotifierFixture is a notifier that has received no events yet.
type NotifierFixture struct {
	Notifier rota.Notifier
	Polling
	// Inject makes the notifier's system fail; nil if it can't.
	Inject Inject
	// Heard reports whether the event arrived at the other end; nil if there's
	// no way to know.
	Heard func(e rota.Event) (bool, error)
}

type notifier struct{ NotifierFixture }

// Notifier runs the suite for [rota.Notifier]. fixture is called once per case,
// and once before all of them to find out which cases apply.
func Notifier(t *testing.T, fixture func(t *testing.T) NotifierFixture) {
	cases := []conformance[*notifier]{
		{"the name is stable", func(t T, n *notifier) { named(t, n.Notifier.Name) }, nil},
		{"every kind of event arrives", testKinds, (*notifier).hears},
		{"an event without a version arrives", testNoVersion, (*notifier).hears},
		{"the same event can be sent again", testNotifyAgain, nil},
		{"methods can run concurrently", testNotifyTogether, nil},
		{"calls return when their context ends", func(t T, n *notifier) {
			honours(t, "notify", n.Inject, "notify", n.notify(event(1, rota.EventFailed)))
		}, nil},
		{"preflight finds no problems", func(t T, n *notifier) { preflight(t, n.Notifier) }, (*notifier).preflight},
	}
	for _, kind := range []FaultKind{FailBefore, LoseReply, Repeat} {
		cases = append(cases, faulty("faults: a call that "+string(kind)+" can be made again", kind, testNotifyFaults))
	}
	suite(std{t}, func(t T) *notifier { return &notifier{fixture(goTest(t))} }, cases)
}

func (n *notifier) hears() bool     { return n.Heard != nil }
func (n *notifier) preflight() bool { return is[rota.Preflighter](n.Notifier) }

func (n *notifier) canFail(kind FaultKind) bool { return n.Inject.can(kind, "notify") }

// event returns the n-th of a series of events.
func event(n int, kind rota.EventKind) rota.Event {
	return rota.Event{ID: fmt.Sprintf("0190a000-0000-7000-8000-00000000%04d", n), Kind: kind, Secret: "test/secret",
		Version: "rota-00000000-0000-4000-8000-000000000001", Credential: "AKIAIOSFODNN7EXAMPLE",
		At: time.Date(2026, 3, 1, 12, 0, n, 0, time.UTC), Reason: `It is "due" <since> 90 days & more: ünïcode too.`}
}

// notify returns the call that sends an event.
func (n *notifier) notify(e rota.Event) func(context.Context) error {
	return func(ctx context.Context) error { return n.Notifier.Notify(ctx, e) }
}

func (n *notifier) mustNotify(t T, e rota.Event) {
	t.Helper()
	if err := n.Notifier.Notify(t.Context(), e); err != nil {
		t.Fatalf("notify of %s: %v", e.Kind, err)
	}
}

// heard waits until the event arrives at the other end.
func (n *notifier) heard(t T, e rota.Event) {
	t.Helper()
	if n.Heard == nil {
		return
	}
	n.until(t, "hearing of "+string(e.Kind), func() error {
		ok, err := n.Heard(e)
		if err == nil && !ok {
			err = errors.New("nobody heard of it")
		}
		return err
	})
}

func testKinds(t T, n *notifier) {
	for k, kind := range []rota.EventKind{rota.EventRotated, rota.EventAdopted, rota.EventDeactivated, rota.EventDeleted,
		rota.EventDiscarded, rota.EventHeld, rota.EventFailed, rota.EventRolledBack, rota.EventLate} {
		n.mustNotify(t, event(k, kind))
		n.heard(t, event(k, kind))
	}
}

func testNoVersion(t T, n *notifier) {
	e := rota.Event{ID: "0190a000-0000-7000-8000-000000000099", Kind: rota.EventHeld, Secret: "test/secret",
		At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Reason: "It is not adopted."}
	n.mustNotify(t, e)
	n.heard(t, e)
}

func testNotifyAgain(t T, n *notifier) {
	for range 2 {
		n.mustNotify(t, event(1, rota.EventRotated))
	}
	n.heard(t, event(1, rota.EventRotated))
}

func testNotifyTogether(t T, n *notifier) {
	for _, err := range together(crowd, func(k int) error {
		n.Notifier.Name()
		return n.Notifier.Notify(t.Context(), event(k, rota.EventRotated))
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	for k := range crowd {
		n.heard(t, event(k, rota.EventRotated))
	}
}

func testNotifyFaults(t T, n *notifier, kind FaultKind) {
	e := event(1, rota.EventFailed)
	again(t, "notify", n.Inject, kind, n.notify(e))
	n.heard(t, e)
}

package providertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"rota"
)

// ReloaderFixture is a reloader with healthy consumers.
type ReloaderFixture struct {
	Reloader rota.Reloader
	Polling
	// Inject makes the reloader's system fail; nil where it can't.
	Inject Inject
	// Running gives the version that the consumers run on, "" for none yet;
	// nil where that can't be told.
	Running func() (string, error)
	// Sicken lets consumers fall ill at the next reload; nil where it can't.
	Sicken func()
}

// Reloader runs the suite of [rota.Reloader]. fixture is called once a case.
func Reloader(t *testing.T, fixture func(t *testing.T) ReloaderFixture) {
	const first, second = "rota-00000000-0000-4000-8000-000000000001", "rota-00000000-0000-4000-8000-000000000002"
	run := func(name string, body func(t *testing.T, f ReloaderFixture, reload func(context.Context, string) error, runs func(string))) {
		t.Run(name, func(t *testing.T) {
			f := fixture(t)
			reload := func(ctx context.Context, version string) error {
				return f.Reloader.Reload(ctx, rota.ReloadRequest{Secret: "test/secret", Version: version})
			}
			runs := func(version string) {
				t.Helper()
				if f.Running == nil {
					return
				}
				// Reload returned, so they run already: no waiting.
				if got, err := f.Running(); err != nil || got != version {
					t.Errorf("consumers run on %q (%v), want %q", got, err, version)
				}
			}
			body(t, f, reload, runs)
		})
	}
	type (
		call  = func(context.Context, string) error
		check = func(string)
	)
	run("the name is stable", func(t *testing.T, f ReloaderFixture, _ call, _ check) { named(t, f.Reloader.Name) })
	run("consumers run on the version when it returns", func(t *testing.T, _ ReloaderFixture, reload call, runs check) {
		for _, version := range []string{first, second} {
			if err := reload(t.Context(), version); err != nil {
				t.Fatal(err)
			}
			runs(version)
		}
	})
	run("the same version may be reloaded again", func(t *testing.T, _ ReloaderFixture, reload call, runs check) {
		for range 3 {
			if err := reload(t.Context(), first); err != nil {
				t.Fatal(err)
			}
		}
		runs(first)
	})
	run("methods may run at the same time", func(t *testing.T, f ReloaderFixture, reload call, runs check) {
		for _, err := range together(4, func(int) error {
			f.Reloader.Name()
			return reload(t.Context(), first)
		}) {
			if err != nil {
				t.Error(err)
			}
		}
		runs(first)
	})
	run("sick consumers are an error", func(t *testing.T, f ReloaderFixture, reload call, _ check) {
		if f.Sicken == nil {
			t.Skip("the fixture's consumers never fall ill")
		}
		f.Sicken()
		if err := reload(t.Context(), first); err == nil {
			t.Error("reload succeeded although its consumers are ill")
		}
	})
	run("calls end with their context", func(t *testing.T, f ReloaderFixture, reload call, _ check) {
		honours(t, "reload", f.Inject, "reload", func(ctx context.Context) error { return reload(ctx, first) })
	})
	run("preflight finds all in order", func(t *testing.T, f ReloaderFixture, _ call, _ check) { preflight(t, f.Reloader) })
	for _, kind := range []FaultKind{FailBefore, LoseReply, Repeat} {
		run("faults: a call that "+string(kind)+" can be made again", func(t *testing.T, f ReloaderFixture, reload call, runs check) {
			if f.Inject == nil || !f.Inject("reload", kind) {
				t.Skip("the fixture can't do that")
			}
			if err := reload(t.Context(), first); (err == nil) == (kind == FailBefore) && kind != LoseReply {
				t.Errorf("reload that %s gives %v", kind, err)
			}
			if err := reload(t.Context(), first); err != nil {
				t.Fatalf("reload, made again: %v", err)
			}
			runs(first)
		})
	}
}

// NotifierFixture is a notifier that heard of nothing yet.
type NotifierFixture struct {
	Notifier rota.Notifier
	Polling
	// Inject makes the notifier's system fail; nil where it can't.
	Inject Inject
	// Heard tells whether somebody at the other end heard of the event; nil
	// where that can't be told.
	Heard func(e rota.Event) (bool, error)
}

// Notifier runs the suite of [rota.Notifier]. fixture is called once a case.
func Notifier(t *testing.T, fixture func(t *testing.T) NotifierFixture) {
	event := func(n int, kind rota.EventKind) rota.Event {
		return rota.Event{ID: fmt.Sprintf("0190a000-0000-7000-8000-00000000%04d", n), Kind: kind, Secret: "test/secret",
			Version: "rota-00000000-0000-4000-8000-000000000001", Credential: "AKIAIOSFODNN7EXAMPLE",
			At: time.Date(2026, 3, 1, 12, 0, n, 0, time.UTC), Reason: `It is "due" <since> 90 days & more: ünïcode too.`}
	}
	run := func(name string, body func(t *testing.T, f NotifierFixture, heard func(rota.Event))) {
		t.Run(name, func(t *testing.T) {
			f := fixture(t)
			body(t, f, func(e rota.Event) {
				t.Helper()
				if f.Heard == nil {
					return
				}
				f.until(t, "hearing of "+string(e.Kind), func() error {
					ok, err := f.Heard(e)
					if err == nil && !ok {
						err = errors.New("nobody heard of it")
					}
					return err
				})
			})
		})
	}
	run("the name is stable", func(t *testing.T, f NotifierFixture, _ func(rota.Event)) { named(t, f.Notifier.Name) })
	run("every kind of event is heard", func(t *testing.T, f NotifierFixture, heard func(rota.Event)) {
		for n, kind := range []rota.EventKind{rota.Rotated, rota.WasAdopted, rota.IsDeactivated, rota.IsDeleted,
			rota.Discarded, rota.Held, rota.Failed, rota.RolledBack, rota.Late} {
			if err := f.Notifier.Notify(t.Context(), event(n, kind)); err != nil {
				t.Fatalf("notify of %s: %v", kind, err)
			}
			heard(event(n, kind))
		}
	})
	run("an event without a version is heard", func(t *testing.T, f NotifierFixture, heard func(rota.Event)) {
		e := rota.Event{ID: "0190a000-0000-7000-8000-000000000099", Kind: rota.Held, Secret: "test/secret",
			At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Reason: "It is not adopted."}
		if err := f.Notifier.Notify(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		heard(e)
	})
	run("the same event may be sent again", func(t *testing.T, f NotifierFixture, heard func(rota.Event)) {
		for range 2 {
			if err := f.Notifier.Notify(t.Context(), event(1, rota.Rotated)); err != nil {
				t.Fatal(err)
			}
		}
		heard(event(1, rota.Rotated))
	})
	run("methods may run at the same time", func(t *testing.T, f NotifierFixture, heard func(rota.Event)) {
		for _, err := range together(crowd, func(n int) error {
			f.Notifier.Name()
			return f.Notifier.Notify(t.Context(), event(n, rota.Rotated))
		}) {
			if err != nil {
				t.Error(err)
			}
		}
		for n := range crowd {
			heard(event(n, rota.Rotated))
		}
	})
	run("calls end with their context", func(t *testing.T, f NotifierFixture, _ func(rota.Event)) {
		honours(t, "notify", f.Inject, "notify", func(ctx context.Context) error {
			return f.Notifier.Notify(ctx, event(1, rota.Failed))
		})
	})
	run("preflight finds all in order", func(t *testing.T, f NotifierFixture, _ func(rota.Event)) { preflight(t, f.Notifier) })
	for _, kind := range []FaultKind{FailBefore, LoseReply, Repeat} {
		run("faults: a call that "+string(kind)+" can be made again", func(t *testing.T, f NotifierFixture, heard func(rota.Event)) {
			if f.Inject == nil || !f.Inject("notify", kind) {
				t.Skip("the fixture can't do that")
			}
			e := event(1, rota.Failed)
			if err := f.Notifier.Notify(t.Context(), e); (err == nil) == (kind == FailBefore) && kind != LoseReply {
				t.Errorf("notify that %s gives %v", kind, err)
			}
			if err := f.Notifier.Notify(t.Context(), e); err != nil {
				t.Fatalf("notify, made again: %v", err)
			}
			heard(e)
		})
	}
}

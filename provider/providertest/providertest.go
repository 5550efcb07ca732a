package providertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// FaultKind is how the next call goes wrong.
type FaultKind string

// The kinds of faults that a fixture's Inject may be asked for.
const (
	// FailBefore: the outside answers an error (throttled, 5xx, connection
	// refused) and does nothing.
	FailBefore FaultKind = "fails before it acts"
	// LoseReply: the outside does it, and the caller gets an error.
	LoseReply FaultKind = "acts, and its reply is lost"
	// Repeat: the outside is asked twice, as by a client that sends again, and
	// the caller gets the second answer.
	Repeat FaultKind = "acts twice"
	// Hang: the outside never answers, until the caller gives up.
	Hang FaultKind = "hangs"
)

// Inject makes the next call of a method go wrong. op is the method's name in
// small letters: "create", "set", "test", "delete", "list", "deactivate",
// "reactivate", "describe", "get", "put", "move", "acquire", "save",
// "deliver", "reload", "notify". It is false where the fixture can't do that;
// the case is then left out.
type Inject func(op string, kind FaultKind) bool

// can tells whether one of the methods at least can be made to go wrong, and
// makes it so.
func (f Inject) can(kind FaultKind, ops ...string) bool {
	return f != nil && slices.ContainsFunc(ops, func(op string) bool { return f(op, kind) })
}

// conformance is one case of a suite. S is what the suite's cases work on.
type conformance[S any] struct {
	name string
	run  func(*testing.T, S)
	// needs tells whether the case applies to an implementation and whether
	// its fixture is up to it; nil where that is always so. It may damage the
	// fixture.
	needs func(S) bool
}

// faulty is a case whose calls go wrong in one way.
func faulty[S interface{ canFail(kind FaultKind) bool }](name string, kind FaultKind, run func(*testing.T, S, FaultKind)) conformance[S] {
	return conformance[S]{name,
		func(t *testing.T, s S) { run(t, s, kind) },
		func(s S) bool { return s.canFail(kind) }}
}

// suite runs the cases, each on a fixture of its own. What a case needs is
// asked of one more fixture, made first for nothing else. A case that does not
// apply is no test at all: it is neither skipped nor passed.
func suite[S any](t *testing.T, fixture func(*testing.T) S, cases []conformance[S]) {
	t.Helper()
	probe := fixture(t)
	for _, c := range cases {
		if c.needs != nil && !c.needs(probe) {
			t.Logf("does not apply: %s", c.name)
			continue
		}
		t.Run(c.name, func(t *testing.T) { c.run(t, fixture(t)) })
	}
}

// Polling says how to wait for what an outside system shows only after a while.
type Polling struct {
	// Timeout defaults to 10 s.
	Timeout time.Duration
	// Tick, if any, is called between two looks instead of waiting: it
	// advances a fake clock.
	Tick func()
}

// looks is how often a fake clock is advanced before the case fails.
const looks = 1000

// until looks again and again until ok holds.
func (p Polling) until(t *testing.T, what string, ok func() error) {
	t.Helper()
	timeout := p.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	deadline := time.Now().Add(timeout)
	var err error
	for i := 0; ; i++ {
		if err = ok(); err == nil {
			return
		}
		if p.Tick != nil && i < looks {
			p.Tick()
			continue
		}
		if p.Tick != nil || time.Now().After(deadline) {
			t.Fatalf("%s: still not so: %v", what, err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatalf("%s: test over: %v", what, err)
		}
	}
}

// patience is how long a call may take after its context has ended.
const patience = 5 * time.Second

// honours checks that a call gives up when its context ends. The error must be
// one of its own, and none of the wrong ones: a call that was given up has
// found out nothing.
func honours(t *testing.T, what string, inject Inject, op string, call func(context.Context) error, wrong ...error) {
	t.Helper()
	check := func(t *testing.T, ctx context.Context) {
		t.Helper()
		answer := make(chan error, 1)
		go func() { answer <- call(ctx) }()
		select {
		case err := <-answer:
			if err == nil {
				t.Fatalf("%s succeeded although its context had ended", what)
			}
			for _, w := range wrong {
				if errors.Is(err, w) {
					t.Fatalf("%s with an ended context claims %q: %v", what, w, err)
				}
			}
		case <-time.After(patience):
			t.Fatalf("%s is still at it %s after its context ended", what, patience)
		}
	}
	t.Run(what+" with a cancelled context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		check(t, ctx)
	})
	t.Run(what+" past its deadline", func(t *testing.T) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		check(t, ctx)
	})
	// This is no subtest: if one were left out by its name, the next call would
	// hang instead.
	if inject.can(Hang, op) {
		what += " while the other side hangs"
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		check(t, ctx)
	}
}

// safe fails the test if the error's text holds a value of the credentials.
// public are the fields that may be shown.
func safe(t testing.TB, err error, public []string, credentials ...rota.Credential) {
	t.Helper()
	if err == nil {
		return
	}
	for ; err != nil; err = errors.Unwrap(err) {
		for _, c := range credentials {
			for name, value := range c.Fields() {
				if len(value) >= 4 && !slices.Contains(public, name) && strings.Contains(err.Error(), value) {
					t.Errorf("an error holds the value of field %s: %s", name, strings.ReplaceAll(err.Error(), value, "***"))
				}
			}
		}
	}
}

// named checks what all names promise.
func named(t *testing.T, name func() string) {
	t.Helper()
	first := name()
	if first == "" {
		t.Error("the name is empty")
	}
	if again := name(); again != first {
		t.Errorf("the name changed from %q to %q", first, again)
	}
}

// is tells whether a part has an optional interface.
func is[Optional any](part any) bool {
	_, ok := part.(Optional)
	return ok
}

// preflight checks the preflight of a part that has one, where everything is
// in order.
func preflight(t *testing.T, part any) {
	t.Helper()
	p := part.(rota.Preflighter)
	findings := p.Preflight(t.Context())
	if len(findings) == 0 {
		t.Fatal("preflight found nothing to say; it always gives one finding at least")
	}
	for _, f := range findings {
		if f.Check == "" {
			t.Errorf("a finding does not say what was looked at: %+v", f)
		}
		if !f.OK && !f.Warning {
			t.Errorf("preflight finds fault where all is in order: %+v", f)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if len(p.Preflight(ctx)) == 0 {
		t.Error("preflight with a cancelled context gives no finding")
	}
}

// sample is the n-th of a row of credentials that differ in every field.
func sample(n int) rota.Credential {
	letter := string(rune('A' + n%26))
	return rota.NewCredential(map[string]string{
		rota.FieldAccessKeyID:     "AKIA" + strings.Repeat(letter, 12) + fourDigits(n),
		rota.FieldSecretAccessKey: "secret" + strings.Repeat(strings.ToLower(letter), 30) + fourDigits(n),
	})
}

func fourDigits(n int) string {
	const digits = "0123456789"
	return string([]byte{digits[n/1000%10], digits[n/100%10], digits[n/10%10], digits[n%10]})
}

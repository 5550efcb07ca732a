package providertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// FaultKind is how the next call fails.
type FaultKind string

// The kinds of faults that a fixture's Inject can be asked for.
const (
	// FailBefore: the outside system returns an error (throttled, 5xx,
	// connection refused) and does nothing.
	FailBefore FaultKind = "fails before it takes effect"
	// LoseReply: the outside system acts, but the caller gets an error.
	LoseReply FaultKind = "acts, and its reply is lost"
	// Repeat: the outside system gets the request twice, as when a client
	// retries, and the caller gets the second answer.
	Repeat FaultKind = "acts twice"
	// Hang: the outside system doesn't answer before the caller gives up.
	Hang FaultKind = "hangs"
)

// Inject makes the next call of a method fail. op is the method's name in lower
// case: "create", "set", "test", "delete", "list", "deactivate", "reactivate",
// "describe", "get", "put", "move", "acquire", "save", "check", "deliver",
// "reload", "notify". It returns false if the fixture can't do that; the case is then
// left out.
type Inject func(op string, kind FaultKind) bool

// can reports whether at least one of the methods can be made to fail, and
// makes it do so.
func (f Inject) can(kind FaultKind, ops ...string) bool {
	return f != nil && slices.ContainsFunc(ops, func(op string) bool { return f(op, kind) })
}

// conformance is one case of a suite. S is what the suite's cases test.
type conformance[S any] struct {
	name string
	run  func(T, S)
	// needs reports whether the case applies to an implementation and whether
	// its fixture supports it; nil means always. It can damage the fixture.
	needs func(S) bool
}

// faulty makes a case whose calls fail in one way.
func faulty[S interface{ canFail(kind FaultKind) bool }](name string, kind FaultKind, run func(T, S, FaultKind)) conformance[S] {
	return conformance[S]{name,
		func(t T, s S) { run(t, s, kind) },
		func(s S) bool { return s.canFail(kind) }}
}

// suite runs the cases, each on its own fixture. It makes one extra fixture
// first, only to find out which cases apply. A case that doesn't apply is left
// out entirely: it is neither skipped nor passed.
func suite[S any](t T, fixture func(T) S, cases []conformance[S]) {
	t.Helper()
	probe := fixture(t)
	for _, c := range cases {
		if c.needs != nil && !c.needs(probe) {
			t.Logf("does not apply: %s", c.name)
			continue
		}
		t.Run(c.name, func(t T) { c.run(t, fixture(t)) })
	}
}

// Polling says how to wait for changes that an outside system shows with a
// delay.
type Polling struct {
	// Timeout defaults to 10 s.
	Timeout time.Duration
	// Tick, if set, is called between two attempts instead of waiting. It
	// advances a fake clock.
	Tick func()
}

// looks is how often a fake clock is advanced before the case fails.
const looks = 1000

// until retries until ok returns nil.
func (p Polling) until(t T, what string, ok func() error) {
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

// patience is how long a call can take to return after its context has ended.
const patience = 5 * time.Second

// honours checks that a call gives up when its context ends. Its error must not
// be any of the wrong ones: a call that gave up can't claim to have found
// anything out.
func honours(t T, what string, inject Inject, op string, call func(context.Context) error, wrong ...error) {
	t.Helper()
	check := func(t T, ctx context.Context) {
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
	t.Run(what+" with a cancelled context", func(t T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		check(t, ctx)
	})
	t.Run(what+" past its deadline", func(t T) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		check(t, ctx)
	})
	// This isn't a subtest: if -run filtered it out, the next call would hang
	// instead.
	if inject.can(Hang, op) {
		what += " while the other side hangs"
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		check(t, ctx)
	}
}

// safe fails the test if the error's text contains a value of the credentials.
// public are the fields that it can show.
func safe(t T, err error, public []string, credentials ...rota.Credential) {
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

// named checks the contract of Name, which all parts share.
func named(t T, name func() string) {
	t.Helper()
	first := name()
	if first == "" {
		t.Error("the name is empty")
	}
	if again := name(); again != first {
		t.Errorf("the name changed from %q to %q", first, again)
	}
}

// is reports whether a part implements an optional interface.
func is[Optional any](part any) bool {
	_, ok := part.(Optional)
	return ok
}

// preflight checks that the preflight of a part, if it has one, finds no
// problem in a healthy system.
func preflight(t T, part any) {
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

// sample returns the n-th of a series of credentials that differ in every
// field.
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

package providertest

import (
	"context"
	"errors"
	"testing"

	"github.com/rota-dev/rota"
)

// CheckFixture is a check of an outside system, with credentials to try.
type CheckFixture struct {
	Check rota.Check
	Polling
	// Inject makes the check's system fail; nil if it can't. The op is "check".
	Inject Inject
	// Good passes the check.
	Good rota.Credential
	// Wrong looks like Good, but its secret part is wrong.
	Wrong rota.Credential
	// Unfit logs in but can't do what the check asks; zero if there's no such
	// credential.
	Unfit rota.Credential
	// PublicFields are the fields of a credential, besides the user's name and
	// the key's id, that an error can show.
	PublicFields []string
}

type check struct{ CheckFixture }

// Check runs the suite for [rota.Check]. fixture is called once per case, and
// once before all of them to find out which cases apply.
func Check(t *testing.T, fixture func(t *testing.T) CheckFixture) {
	suite(std{t}, func(t T) *check { return &check{fixture(goTest(t))} }, []conformance[*check]{
		{"the name is stable", func(t T, c *check) { named(t, c.Check.Name) }, nil},
		{"a good credential passes, however often it's tried", testGood, nil},
		{"a wrong credential is refused", testCheckWrong, nil},
		{"a credential that lacks permission fails", testUnfit, func(c *check) bool { return !c.Unfit.IsZero() }},
		{"methods can run concurrently", testCheckTogether, nil},
		{"calls return when their context ends", func(t T, c *check) {
			honours(t, "check", c.Inject, "check", c.with(c.Good), rota.ErrRefused)
		}, nil},
		{"preflight finds no problems", func(t T, c *check) { preflight(t, c.Check) }, func(c *check) bool { return is[rota.Preflighter](c.Check) }},
		{"faults: an outage isn't a refusal", testCheckOutage, func(c *check) bool { return c.Inject.can(FailBefore, "check") }},
	})
}

// with returns the call that checks a credential.
func (c *check) with(credential rota.Credential) func(context.Context) error {
	return func(ctx context.Context) error { return c.Check.Check(ctx, credential) }
}

// seen passes on an error that shows no value.
func (c *check) seen(t T, err error) error {
	t.Helper()
	safe(t, err, append([]string{rota.FieldAccessKeyID, rota.FieldUsername}, c.PublicFields...), c.Good, c.Wrong, c.Unfit)
	return err
}

func (c *check) passes(t T) {
	t.Helper()
	c.until(t, "checking a good credential", func() error { return c.seen(t, c.with(c.Good)(t.Context())) })
}

func testGood(t T, c *check) {
	for range 3 {
		c.passes(t)
	}
}

func testCheckWrong(t T, c *check) {
	c.passes(t)
	if err := c.seen(t, c.with(c.Wrong)(t.Context())); !errors.Is(err, rota.ErrRefused) {
		t.Errorf("a wrong credential gives %v, want %v", err, rota.ErrRefused)
	}
	c.passes(t)
}

func testUnfit(t T, c *check) {
	c.passes(t)
	if err := c.seen(t, c.with(c.Unfit)(t.Context())); err == nil {
		t.Error("a credential that can't do what the check asks passes it")
	}
}

func testCheckTogether(t T, c *check) {
	c.passes(t)
	for _, err := range together(crowd, func(int) error {
		c.Check.Name()
		return c.seen(t, c.with(c.Good)(t.Context()))
	}) {
		if err != nil {
			t.Error(err)
		}
	}
}

func testCheckOutage(t T, c *check) {
	c.passes(t)
	if !c.Inject.can(FailBefore, "check") {
		t.Fatal("the fixture can't do what it could before")
	}
	switch err := c.seen(t, c.with(c.Good)(t.Context())); {
	case err == nil:
		t.Error("the check passed although its system failed")
	case errors.Is(err, rota.ErrRefused), rota.ClassOf(err) != rota.ClassWait:
		t.Errorf("an outage gives %v (%s), which isn't worth a retry", err, rota.ClassOf(err))
	}
	c.passes(t)
}

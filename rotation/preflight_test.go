package rotation_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// finding is the finding about something, with all others in order.
func finding(t *testing.T, s *rotation.Secret, check string) rota.Finding {
	t.Helper()
	var found *rota.Finding
	for _, f := range rotation.Preflight(t.Context(), s) {
		if strings.HasPrefix(f.Check, check) {
			found = &f
		}
		if !f.OK && rota.Hint(f.Remedies) == "" {
			t.Errorf("no hint: %+v", f)
		}
	}
	if found == nil {
		t.Fatalf("no finding %q", check)
	}
	return *found
}

func TestPreflightSaysWhoseKeysTakeThePlaces(t *testing.T) {
	const place = "issuer: a place for the next"
	adopt := func(t *testing.T, b *bench, o rotation.AdoptOptions) {
		if _, err := b.rotator.Adopt(t.Context(), b.secret, o); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name    string
		given   func(t *testing.T, b *bench)
		ok      bool
		detail  []string
		hint    string
		warning bool
	}{
		{"two that the store does not hold", func(_ *testing.T, b *bench) {
			b.keys.Plant()
			b.keys.Use(b.keys.Keys()[0].ID)
			b.keys.Plant()
		}, false, []string{"all 2 are taken", "active, last used 2026-01-01 09:00 UTC", "active, no use seen"}, "adopt prod/cms for the one in use; and also delete by hand", false},
		{"two, one of which is in the store", func(t *testing.T, b *bench) {
			c := b.keys.Plant()
			b.keys.Plant()
			if err := b.store.Put(t.Context(), rota.PutRequest{Version: "9e1f3b1a-foreign", Credential: c, Labels: []rota.Label{rota.LabelCurrent}}); err != nil {
				t.Fatal(err)
			}
		}, false, nil, "adopt prod/cms for AKIA", false},
		{"both in the store, as another tool left them", func(t *testing.T, b *bench) {
			for i, label := range []rota.Label{rota.LabelPrevious, rota.LabelCurrent} {
				version := []string{"9e1f3b1a-first", "9e1f3b1a-second"}[i]
				if err := b.store.Put(t.Context(), rota.PutRequest{Version: version, Credential: b.keys.Plant(), Labels: []rota.Label{label}}); err != nil {
					t.Fatal(err)
				}
			}
		}, false, []string{"by what the store holds and Rota hasn't adopted yet"}, "adopt prod/cms for what the store holds", true},
		{"one beside Rota's", func(t *testing.T, b *bench) {
			adopt(t, b, rotation.AdoptOptions{Credential: b.keys.Plant()})
			b.keys.Plant()
		}, false, nil, "delete it by hand when nobody uses it", false},
		{"both are Rota's", func(t *testing.T, b *bench) {
			adopt(t, b, rotation.AdoptOptions{Credential: b.keys.Plant()})
			b.advance(t, rotation.Options{Force: rota.StepCreate})
		}, true, []string{"until the previous one is deleted"}, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			test.given(t, b)
			f := finding(t, b.secret, place)
			if f.OK != test.ok || f.Warning != test.warning || !strings.HasPrefix(rota.Hint(f.Remedies), test.hint) || test.hint == "" && rota.Hint(f.Remedies) != "" {
				t.Errorf("%+v, want OK %t, warning %t and hint %q", f, test.ok, test.warning, test.hint)
			}
			for _, part := range test.detail {
				if !strings.Contains(f.Detail, part) {
					t.Errorf("no %q in %q", part, f.Detail)
				}
			}
		})
	}
}

type check = memory.Check

// understood is a check that says something without a credential, too.
type understood struct {
	*check
	finding rota.Finding
}

func (u understood) Preflight(context.Context) []rota.Finding { return []rota.Finding{u.finding} }

func TestPreflightTriesTheUsersTestsWithTheCurrentCredential(t *testing.T) {
	b := newBench(t)
	var refuse error
	tried := 0
	b.secret.Checks = []rota.Check{understood{memory.NewCheck("q", func(rota.Credential) error { tried++; return refuse }, memory.Options{}),
		rota.Finding{Check: "the server understands it", Detail: "syntax error"}}}

	if f := finding(t, b.secret, "test q: with the current credential"); !f.OK || !strings.HasPrefix(f.Detail, "not tried") || tried > 0 {
		t.Errorf("there is none, and it says %+v, tried %d times", f, tried)
	}
	if f := finding(t, b.secret, "test q: the server understands it"); f.OK {
		t.Errorf("%+v", f)
	}

	b.advance(t, rotation.Options{})
	tried = 0
	if f := finding(t, b.secret, "test q: with the current credential"); !f.OK || tried != 1 {
		t.Errorf("it works, and it says %+v, tried %d times", f, tried)
	}
	refuse = errors.New("permission denied for table orders")
	if f := finding(t, b.secret, "test q: with the current credential"); f.OK || f.Warning || !strings.Contains(f.Detail, "table orders") {
		t.Errorf("it does not work, and it says %+v", f)
	}
	b.faults.Next("store.describe", memory.Fault{Before: errors.New("503")})
	if f := finding(t, b.secret, "test q: with the current credential"); !f.Warning || !strings.HasPrefix(f.Detail, "not tried") {
		t.Errorf("the store is sick, and it says %+v", f)
	}
}

func TestAnImpossiblePolicyHasAHintOfItsOwn(t *testing.T) {
	b := newBench(t)
	b.secret.Policy.DeletePreviousAfter = 100 * rota.Day
	if f := finding(t, b.secret, "policy"); strings.Contains(f.Detail, "try:") || !strings.Contains(rota.Hint(f.Remedies), "before_create") {
		t.Errorf("%+v", f)
	}
}

package rotation_test

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// unlimited are keys of which there may be any number.
type unlimited struct{ *memory.AccessKeys }

func (u unlimited) Traits() rota.Traits {
	t := u.AccessKeys.Traits()
	t.Limit = 0
	return t
}

// A request that arrived twice leaves a second credential that nobody has. If the system
// doesn't show which one the answer was about, Rota leaves it alone, and the check names it.
func TestTheCheckNamesWhatTheStoreDoesntHold(t *testing.T) {
	const check = "issuer: no access key that the store doesn't hold"
	b := newBench(t)
	b.secret.Issuer = unlimited{b.keys}
	b.keys.Plant()
	for _, f := range rotation.Preflight(t.Context(), b.secret) {
		if f.Check == check {
			t.Errorf("the store holds none yet, and one may be in use: %+v", f)
		}
	}
	b = newBench(t)
	b.secret.Issuer = unlimited{b.keys}
	b.advance(t, rotation.Options{})
	for _, f := range rotation.Preflight(t.Context(), b.secret) {
		if f.Check == check {
			t.Errorf("there's only Rota's: %+v", f)
		}
	}
	b.days(1)
	second := b.keys.CredentialID(b.keys.Plant())
	f := preflightOf(b, check)
	if f.OK || !f.Warning {
		t.Errorf("%+v", f)
	}
	text := hint.Add(f.Detail, f.Remedies)
	for _, want := range []string{"lists 1 ", second, "active", "made 2026-01-02", "delete"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q doesn't say %q", text, want)
		}
	}
}

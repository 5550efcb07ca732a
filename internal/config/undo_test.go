package config

import (
	"testing"

	"github.com/rota-dev/rota"
)

func TestAnIssuerSaysWhatARollbackDoes(t *testing.T) {
	for _, test := range []struct {
		want       string
		traits     rota.Traits
		reversible bool
	}{
		{"none", rota.Traits{Manual: true}, false},
		{"none", rota.Traits{IssuerChooses: true, Limit: 1}, false},
		{"back to the previous one, until it expires", rota.Traits{IssuerChooses: true, Lifetime: rota.Day}, false},
		{"back to the previous one, until it's deleted", rota.Traits{IssuerChooses: true, Limit: 2}, false},
		{"back to the previous one, until it's deleted", rota.Traits{Limit: 2}, false},
		{"reactivates the previous one, until it's deleted", rota.Traits{IssuerChooses: true, Limit: 2}, true},
		{"sets the previous value again", rota.Traits{Limit: 1}, false},
	} {
		if got := undo(test.traits, test.reversible); got != test.want {
			t.Errorf("%+v, reversible %t: %q, want %q", test.traits, test.reversible, got, test.want)
		}
	}
}

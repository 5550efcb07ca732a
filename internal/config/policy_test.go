package config

import (
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

func TestGracesThatTheFileDoesNotGive(t *testing.T) {
	for _, test := range []struct {
		name, policy       string
		deactivate, remove time.Duration
	}{
		{"none and 90 days", "{rotate_every: 90d}", 10 * rota.Day, 20 * rota.Day},
		{"none and a short period", "{rotate_every: 9d}", rota.Day, 2 * rota.Day},
		{"none and a long period", "{rotate_every: 300d}", 10 * rota.Day, 20 * rota.Day},
		{"none and never by itself", "{rotate_every: 0s}", 10 * rota.Day, 20 * rota.Day},
		{"the deletion is as long after the deactivation again", "{rotate_every: 90d, deactivate_previous_after: 7d}", 7 * rota.Day, 14 * rota.Day},
		{"the deactivation is half-way", "{rotate_every: 90d, delete_previous_after: 8d}", 4 * rota.Day, 8 * rota.Day},
		{"what is given is taken", "{rotate_every: 90d, deactivate_previous_after: 0s, delete_previous_after: 1h}", 0, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := builtin.Parse("rota.yaml", []byte("connections: {a: {aws: {}}}\nsecrets:\n  - {name: x, issuer: {connection: a, iam_access_key: {user: u}}, policy: "+test.policy+"}\n"))
			if err != nil {
				t.Fatal(err)
			}
			if p := f.Policy("x"); p.DeactivatePreviousAfter != test.deactivate || p.DeletePreviousAfter != test.remove {
				t.Errorf("deactivate after %s, delete after %s; want %s and %s", p.DeactivatePreviousAfter, p.DeletePreviousAfter, test.deactivate, test.remove)
			}
		})
	}
}

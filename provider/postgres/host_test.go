package postgres

import (
	"testing"

	"github.com/rota-dev/rota/provider"
)

// However a host is written, it's the same host: for the secrets that claim
// something on it, and for what Rota assumes about the network.
func TestHostsAreComparedWhateverTheirSpelling(t *testing.T) {
	scope := func(host string) string {
		return (&connectionConfig{}).scopeOf(host)
	}
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"db.example.org", "DB.Example.ORG.", true}, {"db.example.org", "db2.example.org", false},
		{"localhost", "LocalHost", true}, {"localhost", "127.0.0.1", true}, {"::1", "0:0:0:0:0:0:0:1", true},
		{"FE80::1", "fe80:0::1", true}, {"/run/postgresql", "/run/postgresql/", true}, {"/run/PostgreSQL", "/run/postgresql", false},
	} {
		if SameHost(test.a, test.b) != test.same || (scope(test.a) == scope(test.b)) != test.same {
			t.Errorf("%s and %s: want the same %t", test.a, test.b, test.same)
		}
	}
	if mode := connect(t, Config{Host: "LOCALHOST", Username: "rota"}).cfg.SSLMode; mode != "disable" {
		t.Errorf("sslmode %s on this machine", mode)
	}
}

// scopeOf is the scope of a connection to a host.
func (c *connectionConfig) scopeOf(host string) string {
	return c.Scope(provider.NewKnown("", func(provider.Text) (string, bool) { return host, true }, nil))
}

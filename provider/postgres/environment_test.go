package postgres

import (
	"testing"

	"github.com/rota-dev/rota"
)

func TestTheEnvironmentOfLibpqChangesNothing(t *testing.T) {
	s := shared.Get(t)
	cfg := Config{Host: s.Host, Port: s.Port, Username: s.Superuser()}
	for name, value := range map[string]string{
		"PGHOST": "192.0.2.1", "PGPORT": "1", "PGUSER": "nobody", "PGPASSWORD": "wrong", "PGPASSFILE": "/none",
		"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/none", "PGSSLNEGOTIATION": "direct", "PGSSLCERTMODE": "require",
		"PGCHANNELBINDING": "require", "PGREQUIREAUTH": "gss", "PGTARGETSESSIONATTRS": "standby", "PGCONNECT_TIMEOUT": "soon",
		"PGMINPROTOCOLVERSION": "3.2", "PGMAXPROTOCOLVERSION": "2.0", "PGOPTIONS": "-c statement_timeout=1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if err := connect(t, cfg).Ping(t.Context()); err != nil {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		})
	}
}

func TestAServiceThatIsMissingNamesItsVariable(t *testing.T) {
	t.Setenv("PGSERVICE", "none")
	t.Setenv("PGSERVICEFILE", "/none")
	_, err := New("db", Config{Host: "127.0.0.1", Username: "rota"})
	if want := "unset PGSERVICE in Rota's environment"; err == nil || rota.Hint(rota.RemediesOf(err)) != want {
		t.Errorf("%v, remedy %q, want %q", err, rota.Hint(rota.RemediesOf(err)), want)
	}
}

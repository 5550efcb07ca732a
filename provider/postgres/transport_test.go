package postgres

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

func TestPreflightTellsWhoMayListen(t *testing.T) {
	for _, test := range []struct {
		name, host, mode string
		ok               bool
	}{
		{"a socket needs no TLS", "/var/run/postgresql", "disable", true},
		{"nor does this machine", "127.0.0.1", "disable", true},
		{"another machine does", "db.example.org", "disable", false},
		{"a certificate that nobody checks is not enough", "db.example.org", "require", false},
		{"a certificate that is checked is", "db.example.org", "verify-ca", true},
		{"with the host name too", "db.example.org", "verify-full", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := Config{Host: test.host, SSLMode: test.mode}.transport()
			if f.OK != test.ok || f.Warning == test.ok || f.Detail == "" || (rota.Hint(f.Remedies) == "") != test.ok {
				t.Errorf("%+v", f)
			}
		})
	}
	wantFinding(t, admin(t, shared.Get(t)), "over TLS", true, "this machine")
}

func TestPreflightTellsThatNoRoleIsFree(t *testing.T) {
	s := shared.Get(t)
	i := must(admin(t, s).Alternating(pair(t, s)))
	first := rotate(t, i)
	wantFinding(t, i, "is free for the next password", true, "")
	rotate(t, i, i.CredentialID(first))
	if f := wantFinding(t, i, "is free for the next password", false, "both"); !f.Warning {
		t.Errorf("it is no warning: %+v", f)
	}
	retire := rota.RetireRequest{CredentialID: i.CredentialID(first)}
	if err := i.(rota.Deactivator).Deactivate(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	if err := i.Delete(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	wantFinding(t, i, "is free for the next password", true, "")
}

func TestAHostThatHoldsALoginIsRefusedUnseen(t *testing.T) {
	for _, host := range []string{"postgres://u:hunter2secret@db.example.org/app", "u:hunter2secret@db.example.org"} {
		_, err := New("db", Config{Host: host, Username: "rota"})
		if err == nil || !strings.Contains(err.Error(), "has a login in it") || strings.Contains(err.Error()+rota.Hint(rota.RemediesOf(err)), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

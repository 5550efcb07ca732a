package mysql

import (
	"context"
	"fmt"

	"github.com/rota-dev/rota"
)

// Preflight implements [rota.Preflighter]: the account's next password can be set
// beside the current one, and tested. It changes nothing; the account sees one
// rejected login.
func (d *dual) Preflight(ctx context.Context) []rota.Finding {
	findings, exist := d.accounts.preflight(ctx)
	if len(exist) == 1 {
		findings = append(findings, d.room(exist[0]))
		if exist[0].isMySQL {
			findings = append(findings, d.keepsNewer(exist[0]))
		}
	}
	return findings
}

// keepsNewer checks whether whoever has the older of two passwords, such as one that
// leaked, can replace the newer one.
func (d *dual) keepsNewer(s state) rota.Finding {
	f := rota.Finding{OK: true, Check: "account " + d.one.String() + " needs its newer password to change it"}
	if !s.asksCurrent {
		return rota.Finding{Warning: true, Check: f.Check, Detail: "it can set another password after a login with either, so whoever has the previous one can replace the new one until it's deleted",
			Remedies: rota.Outside("ALTER USER " + d.one.String() + " PASSWORD REQUIRE CURRENT")}
	}
	return f
}

// room checks that the server keeps second passwords, and that the account has a
// place for the next one.
func (d *dual) room(s state) rota.Finding {
	f := rota.Finding{OK: true, Check: "account " + d.one.String() + " has a place for the next password"}
	has := s.passwords()
	switch {
	case !s.isMySQL:
		return rota.Finding{Check: f.Check, Detail: errMariaDB.Error(), Remedies: rota.Outside(onMariaDB)}
	case s.Locked && len(has) > 0:
		return rota.Finding{Check: f.Check, Detail: "it's locked, so nobody can log in", Remedies: rota.Outside(d.unlock())}
	case len(has) > 1:
		return rota.Finding{Warning: true, Check: f.Check,
			Detail:   "it has two passwords. That's fine while the previous credential awaits retirement. Otherwise someone else set one of them, and Rota won't end it by setting a third",
			Remedies: rota.Outside("if no previous credential awaits retirement, and one of the passwords is nobody's: " + d.makeRoom(s))}
	}
	f.Detail = fmt.Sprintf("it has %d of 2", len(has))
	return f
}

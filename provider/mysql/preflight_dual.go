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
	}
	return findings
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

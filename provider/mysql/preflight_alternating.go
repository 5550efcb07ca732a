package mysql

import (
	"context"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight checks that both accounts' passwords can be changed and tested, and
// that consumers have the same rights with either. It changes nothing; each
// account sees one rejected login.
func (a *alternating) Preflight(ctx context.Context) []rota.Finding {
	findings, exist := a.preflight(ctx)
	if len(exist) == len(a.all) {
		findings = append(findings, a.sameRights(ctx), a.oneFree(exist))
	}
	return findings
}

// sameRights compares all that the two have, as the test before a promotion does.
func (a *alternating) sameRights(ctx context.Context) rota.Finding {
	f := rota.Finding{Check: "users " + a.all[0].user + " and " + a.all[1].user + " have the same rights"}
	secondOnly, firstOnly, err := a.compare(ctx, f.Check, a.all[0], a.all[1])
	if err != nil {
		return provider.Failed(f.Check, err)
	}
	var differences []string
	for i, only := range [][]string{firstOnly, secondOnly} {
		if len(only) > 0 {
			differences = append(differences, "only "+a.all[i].user+": "+list(only))
		}
	}
	f.OK, f.Detail = len(differences) == 0, strings.Join(differences, "; ")
	if !f.OK {
		f.Remedies = rota.Outside(level)
	}
	return f
}

// oneFree reports when both accounts can log in: then one of them has a password
// that something may be using, and no rotation starts.
func (a *alternating) oneFree(both []state) rota.Finding {
	f := rota.Finding{OK: true, Check: "one of users " + a.all[0].user + " and " + a.all[1].user + " is free for the next password"}
	if both[0].gone() || both[1].gone() {
		return f
	}
	return rota.Finding{Warning: true, Check: f.Check,
		Detail:   "both have a password. That's fine while the previous credential awaits retirement. Otherwise someone else set one of them, and Rota won't use either account for the next one",
		Remedies: rota.Outside("if no previous credential awaits retirement, and nobody uses the account that isn't current: ALTER USER … IDENTIFIED VIA mysql_native_password USING 'invalid' ACCOUNT LOCK")}
}

package ldap

import (
	"context"

	"github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight implements [rota.Preflighter]. It changes nothing, and never tries a wrong
// password: a password policy might lock the entry.
func (s *single) Preflight(ctx context.Context) []rota.Finding {
	findings, now := s.preflight(ctx)
	if now == nil {
		return findings
	}
	how := rota.Finding{OK: true, Check: "how a new password of " + s.cfg.DN + " is set", Detail: "Rota hashes it with " + string(s.cfg.Hash)}
	if s.cfg.Hash == SchemeServer {
		err := s.conn.session(ctx, how.Check, func(conn *ldap.Conn) error {
			offered, err := offers(conn, passwordModify)
			how.Detail = "the server hashes it (RFC 3062)"
			if !offered {
				how.Detail = "Rota hashes it with " + string(SchemeSSHA) + ", because the server doesn't offer to (RFC 3062)"
			}
			return err
		})
		if err != nil {
			how = provider.Failed(how.Check, err)
		}
	}
	lone := rota.Finding{OK: true, Check: "no other password of " + s.cfg.DN + " is lost"}
	if len(now.passwords) > 1 && s.cfg.Hash == SchemeServer {
		lone = rota.Finding{Warning: true, Check: lone.Check, Detail: "it has several values, and the next password replaces them all. That's fine if the server's password-hash lists several schemes, which gives one password several values",
			Remedies: rota.Configure("passwords", "passwords: 2")}
	} else if len(now.passwords) > 1 {
		lone = rota.Finding{Warning: true, Check: lone.Check, Detail: "it has several, and the next one replaces them all", Remedies: rota.Configure("passwords", "passwords: 2")}
	}
	return append(findings, how, lone)
}

// Preflight implements [rota.Preflighter]. It changes nothing.
func (d *double) Preflight(ctx context.Context) []rota.Finding {
	findings, now := d.preflight(ctx)
	if now == nil {
		return findings
	}
	others := rota.Finding{OK: true, Check: "all passwords of " + d.cfg.DN + " are Rota's"}
	for _, value := range now.passwords {
		if marked(value) == nil {
			others = rota.Finding{Warning: true, Check: others.Check, Detail: "it has one that Rota didn't make, which stays valid", Remedies: rota.Outside("remove that value of userPassword, once nobody uses it")}
		}
	}
	return append(findings, others)
}

// preflight checks what both ways need, and returns what was read.
func (e *entry) preflight(ctx context.Context) ([]rota.Finding, *state) {
	login := rota.Finding{OK: true, Check: "log in to " + e.conn.system() + " as " + e.conn.cfg.BindDN, Detail: "over TLS: the server's certificate is checked"}
	if e.conn.plain() {
		login.Detail = "TLS isn't needed: it is on this machine"
	}
	if err := e.conn.session(ctx, login.Check, func(*ldap.Conn) error { return nil }); err != nil {
		return []rota.Finding{provider.Failed(login.Check, err)}, nil
	}
	find := rota.Finding{OK: true, Check: "find entry " + e.cfg.DN}
	now, err := e.look(ctx, find.Check)
	if err != nil {
		return []rota.Finding{login, provider.Failed(find.Check, err)}, nil
	}
	reads := rota.Finding{OK: true, Check: "read which passwords " + e.cfg.DN + " has"}
	if len(now.passwords) == 0 {
		reads = rota.Finding{Warning: true, Check: reads.Check, Detail: "none is shown: it has none yet, or Rota may not read them, and would find that the current one isn't in force",
			Remedies: rota.Outside(`access to attrs=userPassword by dn.exact="` + e.conn.cfg.BindDN + `" write`)}
	}
	open := rota.Finding{OK: true, Check: "entry " + e.cfg.DN + " isn't locked"}
	switch err := e.open(open.Check, now); {
	case err != nil:
		open = provider.Failed(open.Check, err)
	case now.locked:
		open = rota.Finding{Warning: true, Check: open.Check, Detail: "the password policy has locked it after too many wrong passwords", Remedies: rota.Outside("remove pwdAccountLockedTime from the entry, and see who logs in with an old password")}
	}
	sees := rota.Finding{OK: true, Check: "see when " + e.cfg.DN + " logged in"}
	if now.used.IsZero() {
		sees = rota.Finding{Warning: true, Check: sees.Check, Detail: "no login is recorded", Remedies: rota.Outside("lastbind on, in the server's configuration of this database; and let " + e.conn.cfg.BindDN + " read pwdLastSuccess")}
	}
	takes := rota.Finding{OK: true, Check: "the server takes passwords in userPassword"}
	if err := e.conn.session(ctx, takes.Check, func(conn *ldap.Conn) error { return e.conn.knows(conn, takes.Check) }); err != nil {
		takes = provider.Failed(takes.Check, err)
	}
	return append([]rota.Finding{login, takes, find, reads, open, sees}, e.policed(ctx, now)...), &now
}

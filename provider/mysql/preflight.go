package mysql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight checks that Rota can log in, and that accounts can be altered there.
// It changes nothing.
func (c *Connection) Preflight(ctx context.Context) []rota.Finding {
	login := rota.Finding{OK: true, Check: fmt.Sprintf("log in to %s as %s", c.system(), c.cfg.Username)}
	server := rota.Finding{OK: true, Check: "accepts account changes", Detail: "a primary"}
	change := rota.Finding{OK: true, Check: "user " + c.cfg.Username + " may change other accounts"}
	sees := rota.Finding{OK: true, Check: "user " + c.cfg.Username + " sees others' sessions"}
	err := c.within(ctx, login.Check, func(ctx context.Context, conn *sql.Conn) error {
		if _, err := readStates(ctx, conn, []account{{user: c.cfg.Username}}); errors.Is(err, errOtherServer) {
			return err
		}
		grants, err := rows(ctx, conn, "SHOW GRANTS")
		if err != nil {
			return err
		}
		shown, writes, err := takesWrites(ctx, conn, grants)
		if err != nil {
			return err
		}
		login.Detail = shown
		if !writes {
			server = rota.Finding{Check: server.Check, Detail: "this server is read-only", Remedies: rota.Outside("the primary's host")}
		}
		if !global(grants, "CREATE USER") {
			change = rota.Finding{Check: change.Check, Detail: "it doesn't have CREATE USER", Remedies: rota.Outside("GRANT CREATE USER ON *.* TO " + name(c.cfg.Username))}
		}
		ok, err := seesSessions(ctx, conn)
		if err == nil && !ok {
			sees = rota.Finding{Warning: true, Check: sees.Check, Detail: "it doesn't have PROCESS, so nothing is retired unless a person asks", Remedies: rota.Outside(c.grantProcess())}
		}
		return err
	})
	if err != nil {
		return []rota.Finding{provider.Failed(login.Check, err)}
	}
	return []rota.Finding{login, c.cfg.transport(), server, change, sees}
}

// takesWrites reports whether the server takes changes from an account with these
// grants, and what it is.
func takesWrites(ctx context.Context, conn *sql.Conn, grants []row) (shown string, writes bool, err error) {
	shown, isMySQL, err := product(ctx, conn)
	if err != nil {
		return "", false, err
	}
	found, err := rows(ctx, conn, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only')")
	if err != nil {
		return "", false, err
	}
	set := row{}
	for _, r := range found {
		set[r["Variable_name"]] = r["Value"]
	}
	exempt := "READ_ONLY ADMIN"
	if isMySQL {
		exempt = "CONNECTION_ADMIN"
	}
	return shown, set["read_only"] == "OFF" || set["super_read_only"] != "ON" && (global(grants, exempt) || isMySQL && global(grants, "SUPER")), nil
}

// global reports whether a privilege is among those on everything.
func global(grants []row, privilege string) bool {
	for _, r := range grants {
		for _, line := range r { // the one column's name has the account in it
			privileges, _, everything := strings.Cut(line, " ON *.* TO ")
			privileges, isGrant := strings.CutPrefix(privileges, "GRANT ")
			all := strings.Split(privileges, ", ")
			if everything && isGrant && (slices.Contains(all, privilege) || slices.Contains(all, "ALL PRIVILEGES")) {
				return true
			}
		}
	}
	return false
}

// transport reports whether anyone on the network path could eavesdrop.
func (c Config) transport() rota.Finding {
	f := rota.Finding{Check: "talk to " + c.Host + " over TLS"}
	switch {
	case c.SSLMode != sslDisabled:
		f.OK, f.Detail = true, "the server's certificate is checked"
	case c.loopback():
		f.OK, f.Detail = true, "not needed: it is on this machine"
	default:
		f.Warning, f.Detail = true, "not encrypted: anyone on the network can read hashes of passwords and the results of checks"
		f.Remedies = rota.Outside("ssl_mode: verify_identity")
	}
	return f
}

// Preflight checks that the account's password can be changed and tested. It
// changes nothing; the account sees one rejected login.
func (p *password) Preflight(ctx context.Context) []rota.Finding {
	findings, exist := p.preflight(ctx)
	if len(exist) == 1 && exist[0].Locked && !exist[0].gone() {
		findings = append(findings, rota.Finding{Check: "account " + p.all[0].String() + " isn't locked", Detail: errLocked.Error(), Remedies: rota.Outside(unlock(p.all[0]))})
	}
	return findings
}

// preflight checks what both ways of rotating need, and returns the accounts that
// exist.
func (a *accounts) preflight(ctx context.Context) ([]rota.Finding, []state) {
	findings := a.conn.Preflight(ctx)
	if len(findings) == 1 {
		return findings, nil
	}
	found, err := a.states(ctx, "read accounts")
	if err != nil {
		return append(findings, provider.Failed("read accounts", err)), nil
	}
	var exist []state
	for _, one := range a.all {
		i := slices.IndexFunc(found, func(s state) bool { return s.account == one })
		if i < 0 && a.mayLack && one == a.all[1] {
			findings = append(findings, rota.Finding{OK: true, Check: "find account " + one.String(), Detail: "it will be created"})
			continue
		}
		if i < 0 {
			findings = append(findings, rota.Finding{Check: "find account " + one.String(), Detail: "it does not exist",
				Remedies: rota.Outside("the account's new name in rota.yaml, if it was renamed; or else CREATE USER " + one.String() + " ACCOUNT LOCK, with the privileges its consumers need")})
			continue
		}
		exist = append(exist, found[i])
		findings = append(findings, a.maySet(found[i]))
		if found[i].isMySQL {
			findings = append(findings, a.mayAlter(ctx, one))
		}
		findings = append(findings, a.conn.mayLogin(found[i]), a.hasRoom(ctx, found[i]), a.asked(ctx, found[i]), alone(found, one))
	}
	return findings, exist
}

// maySet checks that the account has a password that Rota can set.
func (a *accounts) maySet(s state) rota.Finding {
	f := rota.Finding{OK: true, Check: "account " + s.account.String() + " has a password to set", Detail: "by the plugin " + s.Plugin}
	if why := s.unsettable(); why != "" {
		return rota.Finding{Check: f.Check, Detail: why, Remedies: rota.Outside(s.settable())}
	}
	if err := s.tooLong(a.rules.Length); err != nil {
		return rota.Finding{Check: f.Check, Detail: err.Error(), Remedies: rota.RemediesOf(err)}
	}
	return f
}

// mayAlter checks that MySQL lets Rota's account alter this one, as far as Rota may see
// that: accounts with SYSTEM_USER are altered by their like alone.
func (a *accounts) mayAlter(ctx context.Context, one account) rota.Finding {
	f := rota.Finding{OK: true, Check: "user " + a.conn.cfg.Username + " may change account " + one.String()}
	found, err := a.conn.ask(ctx, f.Check, "SELECT SUM(CONCAT(USER, '@', HOST) = CURRENT_USER() OR INSTR(CURRENT_ROLE(), CONCAT('`', USER, '`@`', HOST, '`'))) AS rota, SUM(USER = "+literal(one.user)+" AND HOST = "+literal(one.host)+") AS other"+
		" FROM mysql.global_grants WHERE PRIV = "+literal(systemUser))
	switch {
	case err != nil && rota.ClassOf(err) == rota.ClassStop: // it may not look
		f.Detail = "unless that has " + systemUser + ", which Rota can't see without SELECT on mysql.global_grants"
	case err != nil:
		return provider.Failed(f.Check, err)
	case found[0]["other"] > "0" && found[0]["rota"] == "0":
		f.OK, f.Detail, f.Remedies = false, "the account has "+systemUser+", so only one that has it too may change it", rota.Outside(a.conn.grantSystemUser())
	}
	return f
}

// mayLogin checks what the server demands of a login besides the password. It
// refuses one without it as if the password were wrong.
func (c *Connection) mayLogin(s state) rota.Finding {
	f := rota.Finding{OK: true, Check: "account " + s.account.String() + " can be tested from here"}
	switch {
	case s.Plugin == pluginSHA2 && c.tls == nil && !c.cfg.socket():
		f = rota.Finding{Check: f.Check, Detail: "a new password's first login sends the password itself, which Rota does over TLS or a Unix socket alone", Remedies: rota.Configure("ssl_mode", "ssl_mode: verify_identity for connection "+c.name)}
	case s.TLS > 0 && c.tls == nil && !c.cfg.socket():
		f = rota.Finding{Check: f.Check, Detail: "it may only log in over TLS, which this connection doesn't use", Remedies: rota.Configure("ssl_mode", "ssl_mode: verify_identity for connection "+c.name)}
	case s.TLS > 1 && (c.tls == nil || len(c.tls.Certificates) == 0):
		f = rota.Finding{Check: f.Check, Detail: "it may only log in with a client's certificate, and this connection has none", Remedies: rota.Configure("ssl_cert", "ssl_cert and ssl_key for connection "+c.name)}
	}
	return f
}

// hasRoom checks that the login which tests a new password isn't one too many.
func (a *accounts) hasRoom(ctx context.Context, s state) rota.Finding {
	f := rota.Finding{OK: true, Check: "account " + s.account.String() + " has a connection left for the test"}
	if s.Most == 0 {
		return f
	}
	raise := func(n int) []rota.Remedy {
		return rota.Outside(fmt.Sprintf("ALTER USER %s WITH MAX_USER_CONNECTIONS %d", s.account, n))
	}
	found, err := a.conn.ask(ctx, f.Check, "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE BINARY USER = "+literal(s.account.user))
	if err != nil {
		return provider.Failed(f.Check, err)
	}
	open, _ := strconv.Atoi(found[0]["n"])
	switch {
	case s.Most < 0:
		f = rota.Finding{Check: f.Check, Detail: "its MAX_USER_CONNECTIONS lets nobody log in", Remedies: raise(2)}
	case len(a.all) == 1 && open >= s.Most:
		f = rota.Finding{Check: f.Check, Detail: fmt.Sprintf("it has %d of the %d that its MAX_USER_CONNECTIONS allows: until one is closed, no rotation begins", open, s.Most), Remedies: raise(open + 1)}
	case len(a.all) == 1 && s.Most == 1:
		f = rota.Finding{Warning: true, Check: f.Check, Detail: "its MAX_USER_CONNECTIONS is 1: while a consumer is connected, a new password can't be tested, and no rotation begins", Remedies: raise(2)}
	}
	return f
}

// asked tries to log in with a random password: the server must reject it because
// of the password, or testing the right one would prove nothing. It isn't tried if
// a few such logins would lock the account.
func (a *accounts) asked(ctx context.Context, s state) rota.Finding {
	one := s.account
	f := rota.Finding{Check: "the server asks account " + one.String() + " for its password"}
	if s.attempts > 0 {
		f.OK, f.Detail = true, fmt.Sprintf("not tried: its FAILED_LOGIN_ATTEMPTS locks it after %d rejected logins", s.attempts)
		return f
	}
	err := a.conn.login(ctx, rota.NewCredential(map[string]string{
		rota.FieldUsername: one.user, rota.FieldPassword: rand.Text(),
	}), "", nil, func(context.Context, *sql.Conn) error { return nil })
	switch {
	case rejected(err):
		f.OK, f.Detail = true, "it rejects a wrong one"
	case err == nil:
		f.Detail = "it accepts any password, so a login proves nothing"
		f.Remedies = rota.Outside("a server without skip_grant_tables, and no other account of that name that matches Rota's host first")
	default:
		return provider.Failed(f.Check, a.conn.refused(f.Check, err, rota.Credential{}))
	}
	return f
}

// alone warns about accounts of the same name at other hosts, whose passwords
// stay as they are.
func alone(found []state, one account) rota.Finding {
	f := rota.Finding{OK: true, Check: "no other account is named " + one.user}
	var others []string
	for _, s := range found {
		if s.account.user == one.user && s.account != one && !s.Role {
			others = append(others, s.account.String())
		}
	}
	if len(others) > 0 {
		f = rota.Finding{Warning: true, Check: f.Check, Detail: list(others) + " matches other clients, and keeps its own password",
			Remedies: rota.Outside("a secret for each account, or DROP USER for those that nobody needs")}
	}
	return f
}

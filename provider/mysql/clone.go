package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// ensure creates the second account of a pair if it isn't there: locked, without a
// password, and with what the first has. An account that's there gets what it lacks of
// that. What Rota's own account may not grant is left out: the test before the
// promotion names it.
func (a *alternating) ensure(ctx context.Context) error {
	first, second := a.all[0], a.all[1]
	op := "make user " + second.user + " with the rights of " + first.user
	return a.conn.within(ctx, op, func(ctx context.Context, conn *sql.Conn) error {
		found, err := readStates(ctx, conn, a.all)
		if err != nil {
			return err
		}
		of := func(one account) int { return slices.IndexFunc(found, func(s state) bool { return s.account == one }) }
		from := of(first)
		if from < 0 {
			return nil // setting a password says so
		}
		attributes, err := found[from].attributes(ctx, conn)
		if err != nil {
			return err
		}
		if of(second) < 0 {
			if err := limited(ctx, conn, "CREATE USER "+second.String()+found[from].likeness()+" ACCOUNT LOCK"); err != nil {
				return err
			}
		}
		lines, err := rows(ctx, conn, "SHOW GRANTS FOR "+first.String())
		if err != nil {
			return err
		}
		statements := []string{"ALTER USER " + second.String() + attributes}
		for _, line := range lines {
			for _, text := range line { // the one column's name has the account in it
				if found[from].isMySQL && strings.HasPrefix(text, "GRANT `") {
					continue // roles, the mandatory ones among them, which nobody has to be granted
				}
				if statement := granting(text, first, second); statement != "" {
					statements = append(statements, statement)
				}
			}
		}
		for _, statement := range append(statements, roles(ctx, conn, found[from].isMySQL, first, second)...) {
			if err := limited(ctx, conn, statement); err != nil && code(err) == 0 {
				return err
			}
		}
		return nil
	})
}

// likeness is what a new account has of another: how it logs in.
func (s state) likeness() string {
	text := ""
	if s.isMySQL && s.unsettable() == "" {
		text = " IDENTIFIED WITH " + s.Plugin
	}
	switch s.TLS {
	case 1:
		text += " REQUIRE SSL"
	case 2:
		text += " REQUIRE X509"
	}
	return text
}

// attributes are the clauses by which an account gets another's attributes. MariaDB
// shows all but one of them among the grants.
func (s state) attributes(ctx context.Context, conn *sql.Conn) (string, error) {
	days := func(value string) string {
		switch value {
		case "", "-1":
			return "DEFAULT"
		case "0":
			return "NEVER"
		}
		return "INTERVAL " + value + " DAY"
	}
	if !s.isMySQL {
		return " PASSWORD EXPIRE " + days(string(s.raw["password_lifetime"])), nil
	}
	found, err := rows(ctx, conn, "SELECT * FROM mysql.user"+s.account.where())
	if err != nil || len(found) == 0 {
		return "", err
	}
	of := found[0]
	orDefault := func(value, unit string) string {
		if value == "" {
			return "DEFAULT"
		}
		return value + unit
	}
	text := " REQUIRE " + map[string]string{"": "NONE", "ANY": "SSL", "X509": "X509"}[of["ssl_type"]]
	for _, part := range [][2]string{{"CIPHER", of["ssl_cipher"]}, {"ISSUER", of["x509_issuer"]}, {"SUBJECT", of["x509_subject"]}} {
		if part[1] != "" {
			text += " " + part[0] + " " + literal(part[1])
		}
	}
	text += " WITH MAX_QUERIES_PER_HOUR " + of["max_questions"] + " MAX_UPDATES_PER_HOUR " + of["max_updates"] +
		" MAX_CONNECTIONS_PER_HOUR " + of["max_connections"] + " MAX_USER_CONNECTIONS " + of["max_user_connections"] +
		" PASSWORD EXPIRE " + days(of["password_lifetime"]) +
		" PASSWORD HISTORY " + orDefault(of["Password_reuse_history"], "") + " PASSWORD REUSE INTERVAL " + orDefault(of["Password_reuse_time"], " DAY") +
		" PASSWORD REQUIRE CURRENT" + map[string]string{"": " DEFAULT", "N": " OPTIONAL"}[of["Password_require_current"]]
	if s.lockAfter > 0 || s.lockDays != 0 {
		text += fmt.Sprintf(" FAILED_LOGIN_ATTEMPTS %d PASSWORD_LOCK_TIME %d", s.lockAfter, s.lockDays)
	}
	return strings.Replace(text, "PASSWORD_LOCK_TIME -1", "PASSWORD_LOCK_TIME UNBOUNDED", 1), nil
}

// identified is the part of MariaDB's grants that has the password's hash.
var identified = regexp.MustCompile(` IDENTIFIED (?:BY PASSWORD '[^']*'|VIA \w+(?: USING '[^']*')?(?: OR \w+(?: USING '[^']*')?)*)`)

// granting is a line of SHOW GRANTS as it would be for another account; "" if the
// line can't be read.
func granting(line string, from, to account) string {
	for _, preposition := range []string{" TO ", " FROM ", " FOR "} {
		grantee := preposition + backticks(from.user) + "@" + backticks(from.host)
		at := strings.LastIndex(line, grantee)
		if at < 0 {
			continue
		}
		return line[:at] + preposition + to.String() + identified.ReplaceAllString(line[at+len(grantee):], "")
	}
	return ""
}

// backticks quotes a name as the server shows it.
func backticks(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// roles are the statements by which a MySQL account gets the roles that another one
// was granted, and its default roles. MySQL shows mandatory roles among the grants, and
// default ones not at all.
func roles(ctx context.Context, conn *sql.Conn, isMySQL bool, from, to account) []string {
	if !isMySQL {
		return nil
	}
	var statements []string
	edges, err := rows(ctx, conn, "SELECT FROM_USER AS role, FROM_HOST AS place, WITH_ADMIN_OPTION AS admin FROM mysql.role_edges WHERE TO_USER = "+literal(from.user)+" AND TO_HOST = "+literal(from.host))
	if err != nil {
		return nil
	}
	for _, r := range edges {
		statements = append(statements, "GRANT "+account{r["role"], r["place"]}.String()+" TO "+to.String()+option(r["admin"] == "Y", " WITH ADMIN OPTION"))
	}
	found, err := rows(ctx, conn, "SELECT DEFAULT_ROLE_USER AS role, DEFAULT_ROLE_HOST AS place FROM mysql.default_roles WHERE USER = "+literal(from.user)+" AND HOST = "+literal(from.host))
	if err != nil || len(found) == 0 {
		return statements
	}
	var all []string
	for _, r := range found {
		all = append(all, account{r["role"], r["place"]}.String())
	}
	return append(statements, "SET DEFAULT ROLE "+strings.Join(all, ", ")+" TO "+to.String())
}

// Proves logs in with a credential that's to prove whose the pair is. Anyone can have
// an account by a clone's name, and no account acts as another here. So a clone's login
// counts only if it has all that the first account has, and nobody can use that one
// any more, as after its retirement. While it's locked, its stored password proves it.
func (a *alternating) Proves(ctx context.Context, c rota.Credential) error {
	user := a.CredentialID(c)
	op := "log in as user " + user
	one, err := a.named(op, user)
	if err != nil {
		return err
	}
	first := !a.clone || one == a.all[0]
	if err := a.LogIn(ctx, c); err != nil {
		if kept, known, _ := a.InForce(ctx, c); first && known && kept {
			return nil
		}
		return err
	}
	if first {
		return nil
	}
	found, err := a.states(ctx, op)
	if err != nil {
		return err
	}
	of := slices.IndexFunc(found, func(s state) bool { return s.account == a.all[0] })
	missing, err := a.lacks(ctx, op, one)
	remedy := "put the working password of " + a.all[0].user + " into the secret"
	switch {
	case err != nil:
		return err
	case of < 0 || !found[of].gone():
		return a.stop(op, fmt.Errorf("it logs in, but that doesn't prove whose %s is", a.all[0].user), remedy)
	case len(missing) > 0:
		return a.stop(op, fmt.Errorf("it logs in but lacks what %s has: %s", a.all[0].user, list(missing)), level)
	}
	return nil
}

package mysql

import (
	"context"
	"database/sql"
	"regexp"
	"slices"
	"strings"
)

// ensure creates the second account of a pair if it isn't there: locked, without a
// password, and with what the first is granted. An account that's there gets what
// it lacks of that. What Rota's own account may not grant is left out: the test
// before the promotion names it.
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
		if of(second) < 0 {
			if err := limited(ctx, conn, "CREATE USER "+second.String()+found[from].likeness()+" ACCOUNT LOCK"); err != nil {
				return err
			}
		}
		lines, err := rows(ctx, conn, "SHOW GRANTS FOR "+first.String())
		if err != nil {
			return err
		}
		statements := defaultRoles(ctx, conn, found[from].isMySQL, first, second)
		for _, line := range slices.Backward(lines) {
			for _, text := range line { // the one column's name has the account in it
				if statement := granting(text, first, second); statement != "" {
					statements = slices.Insert(statements, 0, statement)
				}
			}
		}
		for _, statement := range statements {
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

// defaultRoles gives an account another's default roles, which MySQL doesn't show
// among the grants.
func defaultRoles(ctx context.Context, conn *sql.Conn, isMySQL bool, from, to account) []string {
	if !isMySQL {
		return nil
	}
	found, err := rows(ctx, conn, "SELECT DEFAULT_ROLE_USER AS role, DEFAULT_ROLE_HOST AS place FROM mysql.default_roles WHERE USER = "+literal(from.user)+" AND HOST = "+literal(from.host))
	if err != nil || len(found) == 0 {
		return nil
	}
	var roles []string
	for _, r := range found {
		roles = append(roles, account{r["role"], r["place"]}.String())
	}
	return []string{"SET DEFAULT ROLE " + strings.Join(roles, ", ") + " TO " + to.String()}
}

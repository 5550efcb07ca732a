package postgres

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// Permissions implements [provider.Permitter]. The detail of each is the
// statement that grants it.
func (r *roles) Permissions() []provider.Permission {
	admin := quote(r.conn.cfg.Username)
	needs := []provider.Permission{{
		Action: "CREATEROLE", Resource: "role " + r.conn.cfg.Username, Why: "sets the passwords of other roles",
		Detail: "ALTER ROLE " + admin + " CREATEROLE;",
	}}
	for _, name := range r.names {
		needs = append(needs, provider.Permission{
			Action: "ADMIN OPTION", Resource: "role " + name, Why: "sets this role's password, from PostgreSQL 16 on",
			Detail: "GRANT " + quote(name) + " TO " + admin + " WITH ADMIN OPTION, INHERIT FALSE, SET FALSE; -- PostgreSQL 16 and later",
		})
	}
	return append(needs, provider.Permission{
		Action: "SELECT", Resource: "pg_authid", For: provider.OccasionOption,
		Why:    "sees which password is in force without logging in, but also the verifiers of all other roles",
		Detail: "GRANT SELECT (rolname, rolcanlogin, rolvaliduntil, rolpassword) ON pg_authid TO " + admin + ";",
	})
}

// policy is rota policy postgres.
func policy() provider.Policy {
	return provider.Policy{
		Summary: "Print the grants Rota needs in PostgreSQL for rota.yaml",
		Help: `Prints the SQL statements that allow what rota.yaml makes Rota do and nothing
else. Run them as a superuser; statements that are already in effect change
nothing. What Rota can do without is commented out. The role that Rota logs in as
has to exist.

Nothing is looked up in PostgreSQL. --output text says why each grant is needed.`,
		Format:   "sql",
		Document: document,
	}
}

// document is the statements of all grants, each once a connection.
func document(grants []provider.Grant, _ func(error)) ([]byte, error) {
	var out bytes.Buffer
	for i, g := range grants {
		if i > 0 {
			out.WriteByte('\n')
		}
		_, _ = fmt.Fprintf(&out, "-- %s\n", g.Title)
		var written []string
		write := func(statement, before string) {
			if !slices.Contains(written, statement) {
				written = append(written, statement)
				_, _ = fmt.Fprintf(&out, "%s%s\n", before, statement)
			}
		}
		for _, p := range g.Permissions {
			if p.For != provider.OccasionOption {
				write(p.Detail.(string), "")
			}
		}
		for _, p := range g.Permissions {
			if p.For == provider.OccasionOption && !strings.ContainsAny(p.Detail.(string), "\r\n") { // it would end the comment
				write(p.Detail.(string), "-- optional: ")
			}
		}
	}
	return out.Bytes(), nil
}

package mysql

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/rota-dev/rota/provider"
)

// Permissions implements [provider.Permitter]. The detail of each is the
// statement that grants it.
func (p *password) Permissions() []provider.Permission { return p.permissions() }

// Permissions implements [provider.Permitter]: to compare the two, Rota reads
// what accounts are granted.
func (a *alternating) Permissions() []provider.Permission {
	needs := a.permissions()
	const why = "compares the rights of the two accounts"
	for _, table := range grantTables {
		if of, differs := mysqlFor[table]; differs {
			needs = append(needs, a.selectOnEither(table, of, why))
		} else {
			needs = append(needs, a.selectOn(table, why))
		}
	}
	for _, table := range []string{"default_roles", "global_grants"} {
		needs = append(needs, a.selectOnEither("roles_mapping", table, why))
	}
	return needs
}

// Permissions implements [provider.Permitter].
func (d *dual) Permissions() []provider.Permission {
	return append(d.accounts.global(), d.accounts.selectOn("user", sees))
}

// mysqlFor are MySQL's names of tables that MariaDB calls otherwise.
var mysqlFor = map[string]string{"global_priv": "user", "roles_mapping": "role_edges"}

// selectOnEither names the table in comments whose text one of the two servers
// takes for a part of the statement: MySQL skips /*M!, and MariaDB those for
// versions of MySQL that it doesn't follow.
func (a *accounts) selectOnEither(mariaDB, mySQL, why string) provider.Permission {
	p := a.selectOn("/*M! "+mariaDB+" */ /*!80014 "+mySQL+" */", why)
	p.Resource = "mysql." + mariaDB + ", or mysql." + mySQL + " of MySQL"
	return p
}

const sees = "sees which accounts have a password, and which one is in force"

func (a *accounts) permissions() []provider.Permission {
	return append(a.global(), a.selectOnEither("global_priv", mysqlFor["global_priv"], sees))
}

func (a *accounts) global() []provider.Permission {
	admin := name(a.conn.cfg.Username)
	return []provider.Permission{
		{Action: "CREATE USER", Resource: "*.*", Why: "sets the passwords of other accounts", Detail: "GRANT CREATE USER ON *.* TO " + admin + ";"},
		{Action: "PROCESS", Resource: "*.*", Why: "sees which accounts have open sessions", Detail: "GRANT PROCESS ON *.* TO " + admin + ";"},
	}
}

func (a *accounts) selectOn(table, why string) provider.Permission {
	return provider.Permission{Action: "SELECT", Resource: "mysql." + table, Why: why,
		Detail: "GRANT SELECT ON mysql." + table + " TO " + name(a.conn.cfg.Username) + ";"}
}

// policy is rota policy mysql.
func policy() provider.Policy {
	return provider.Policy{
		Summary: "Print the grants Rota needs in MariaDB or MySQL for rota.yaml",
		Help: `Prints the SQL statements that allow what rota.yaml makes Rota do and nothing
else. Run them as an administrator; statements that are already in effect change
nothing. The account that Rota logs in as has to exist. If its host isn't %, write
it into the statements. MariaDB ignores what only MySQL needs, and the other way
round.

Nothing is looked up on the server. --output text says why each grant is needed.`,
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
		for _, p := range g.Permissions {
			if statement := p.Detail.(string); !slices.Contains(written, statement) {
				written = append(written, statement)
				_, _ = fmt.Fprintln(&out, statement)
			}
		}
	}
	return out.Bytes(), nil
}

package mysql

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

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
		if mysqlTables[table] != [2]string{} {
			needs = append(needs, a.selectOn(table, why))
		} else {
			needs = append(needs, onlyOn(mariaDBComment, a.selectOn(table, why)))
		}
	}
	for _, table := range sortedMySQLTables() {
		needs = append(needs, onlyOn(mySQLComment, a.selectOn(table, why)))
	}
	return needs
}

// Permissions implements [provider.Permitter].
func (d *dual) Permissions() []provider.Permission {
	return append(d.accounts.global(), d.accounts.selectOn("user", sees))
}

// Comments whose text one of the two servers runs: MySQL takes /*M! for a comment,
// and MariaDB takes those for versions of MySQL that it doesn't follow.
const (
	mariaDBComment = "/*M! "
	mySQLComment   = "/*!80014 "
)

// onlyOn has one of the two servers run the statement.
func onlyOn(comment string, p provider.Permission) provider.Permission {
	p.Detail = comment + strings.TrimSuffix(p.Detail.(string), ";") + " */;"
	return p
}

const sees = "sees which accounts have a password, and which one is in force"

func (a *accounts) permissions() []provider.Permission {
	return append(a.global(), onlyOn(mariaDBComment, a.selectOn("global_priv", sees)), onlyOn(mySQLComment, a.selectOn("user", sees)))
}

func (a *accounts) global() []provider.Permission {
	admin := literal(a.conn.cfg.Username)
	return []provider.Permission{
		{Action: "CREATE USER", Resource: "*.*", Why: "sets the passwords of other accounts", Detail: "GRANT CREATE USER ON *.* TO " + admin + ";"},
		{Action: "PROCESS", Resource: "*.*", Why: "sees which accounts have open sessions", Detail: "GRANT PROCESS ON *.* TO " + admin + ";"},
	}
}

func (a *accounts) selectOn(table, why string) provider.Permission {
	return provider.Permission{Action: "SELECT", Resource: "mysql." + table, Why: why,
		Detail: "GRANT SELECT ON mysql." + table + " TO " + literal(a.conn.cfg.Username) + ";"}
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

package postgres

import (
	"fmt"
	"strings"

	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// Permissions implements [provider.Permitter]. The detail of each is the statement
// that grants it.
func (r *row) Permissions() []provider.Permission {
	w, role := r.row.Write, quote(r.conn.cfg.Username)
	p := w.Privileges(r.row.Read)
	table := w.Table.Quoted(sqlrow.Postgres)
	grant := func(privilege string, columns []string, why string) provider.Permission {
		if len(columns) > 0 {
			quoted := make([]string, len(columns))
			for i, c := range columns {
				quoted[i] = quote(c)
			}
			privilege += " (" + strings.Join(quoted, ", ") + ")"
		}
		return provider.Permission{Action: privilege, Resource: "table " + w.Table.String(), Why: why,
			Detail: fmt.Sprintf("GRANT %s ON %s TO %s;", privilege, table, role)}
	}
	needs := []provider.Permission{{
		Action: "USAGE", Resource: "schema " + w.Table.Schema, Why: "reaches the table",
		Detail: "GRANT USAGE ON SCHEMA " + quote(w.Table.Schema) + " TO " + role + ";",
	}}
	if len(p.Reads) > 0 || p.Whole {
		needs = append(needs, grant("SELECT", p.Reads, "finds the row"))
	}
	if w.Verb != "UPDATE" {
		needs = append(needs, grant("INSERT", nil, "adds the row"))
	}
	return append(needs, grant("UPDATE", p.Writes, "writes the credential into the row"))
}

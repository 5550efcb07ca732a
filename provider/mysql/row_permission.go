package mysql

import (
	"fmt"
	"strings"

	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// Permissions implements [provider.Permitter]. The detail of each is the statement
// that grants it.
func (r *tableRow) Permissions() []provider.Permission {
	w := r.row.Write
	p := w.Privileges(r.row.Read)
	table := sqlrow.Table{Schema: r.database(), Name: w.Table.Name}
	grant := func(privilege string, columns []string, why string) provider.Permission {
		if len(columns) > 0 {
			quoted := make([]string, len(columns))
			for i, c := range columns {
				quoted[i] = sqlrow.Quote(sqlrow.MySQL, c)
			}
			privilege += " (" + strings.Join(quoted, ", ") + ")"
		}
		return provider.Permission{Action: privilege, Resource: "table " + table.String(), Why: why,
			Detail: fmt.Sprintf("GRANT %s ON %s TO %s;", privilege, table.Quoted(sqlrow.MySQL), name(r.conn.cfg.Username))}
	}
	var needs []provider.Permission
	if len(p.Reads) > 0 || p.Whole {
		needs = append(needs, grant("SELECT", p.Reads, "finds the row"))
	}
	if w.Verb != "UPDATE" {
		needs = append(needs, grant("INSERT", nil, "adds the row"))
	}
	return append(needs, grant("UPDATE", p.Writes, "writes the credential into the row"))
}

package store

import (
	"fmt"

	"github.com/rota-dev/rota/internal/store/record"
)

// SQL for records. A secret whose recovery window is over no longer exists,
// except for what removes it.
//
//nolint:gosec // SQL, no credentials
const (
	recordColumns = `s.name, s.suffix, s.created_at, s.changed_at, s.accessed_at, s.delete_at, s.details,
		v.id, v.created_at, v.accessed_at, length(v.value), l.label`
	recordVersions = ` LEFT JOIN versions v ON v.secret = s.name
		LEFT JOIN labels l ON l.secret = v.secret AND l.version = v.id`

	sqlRecord = `SELECT ` + recordColumns + ` FROM secrets s` + recordVersions + `
		WHERE s.name = $1 ORDER BY v.created_at, v.id, l.label`
	sqlRecordValue = `SELECT v.value, v.accessed_at
		FROM versions v JOIN secrets s ON s.name = v.secret
		WHERE v.secret = $1 AND v.id = $2 AND (s.delete_at = 0 OR s.delete_at > $3)`
	sqlDueRecords = `SELECT name FROM secrets WHERE due_at > 0 AND due_at <= $1 ORDER BY due_at, name LIMIT $2`

	sqlPutRecord = `INSERT INTO secrets (name, suffix, created_at, changed_at, accessed_at, delete_at, due_at, details)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (name) DO UPDATE SET suffix = excluded.suffix, created_at = excluded.created_at,
			changed_at = excluded.changed_at, accessed_at = excluded.accessed_at, delete_at = excluded.delete_at,
			due_at = excluded.due_at, details = excluded.details`
	sqlUpdateVersion  = `UPDATE versions SET value = $3 WHERE secret = $1 AND id = $2`
	sqlDeleteVersion  = `DELETE FROM versions WHERE secret = $1 AND id = $2`
	sqlDeleteLabels   = `DELETE FROM labels WHERE secret = $1`
	sqlDeleteVersions = `DELETE FROM versions WHERE secret = $1`
	sqlDeleteSecret   = `DELETE FROM secrets WHERE name = $1`
	sqlSecretAccess   = `UPDATE secrets SET accessed_at = $2 WHERE name = $1 AND accessed_at < $2`
	sqlVersionAccess  = `UPDATE versions SET accessed_at = $3 WHERE secret = $1 AND id = $2 AND accessed_at < $3`
)

// orderColumns are the sort columns, which come before names.
var orderColumns = map[record.Order]string{
	record.ByCreation: "created_at",
	record.ByChange:   "changed_at",
	record.ByAccess:   "accessed_at",
}

// sqlRecords is the query for a page: $1 is the current time, $2 and $3 are the
// cursor's name and time, $4 is the limit.
func sqlRecords(p record.Page) string {
	direction, after := "", ">"
	if p.Descending {
		direction, after = " DESC", "<"
	}
	bound, order := "name "+after+" $2 AND CAST($3 AS BIGINT) IS NOT NULL", "s.name"+direction
	if column, ok := orderColumns[p.By]; ok {
		bound = "(" + column + ", name) " + after + " ($3, $2)"
		order = "s." + column + direction + ", " + order
	}
	return fmt.Sprintf(`SELECT %[1]s FROM (
			SELECT * FROM secrets s WHERE (delete_at = 0 OR delete_at > $1) AND %[2]s ORDER BY %[3]s LIMIT $4
		) s%[4]s
		ORDER BY %[3]s, v.created_at, v.id, l.label`, recordColumns, bound, order, recordVersions)
}

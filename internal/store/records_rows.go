package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store/record"
)

// details is the part of a record stored in one column, as JSON.
type details struct {
	Description string          `json:"description,omitempty"`
	KMSKeyID    string          `json:"kms_key_id,omitempty"`
	Type        string          `json:"type,omitempty"`
	Tags        []record.Tag    `json:"tags,omitzero"`
	Policy      string          `json:"policy,omitempty"`
	Rotation    record.Rotation `json:"rotation,omitzero"`
	DeletedAt   time.Time       `json:"deleted_at,omitzero"`
}

func detailsOf(r record.Record) (string, error) {
	text, err := json.Marshal(details{r.Description, r.KMSKeyID, r.Type, r.Tags, r.Policy, r.Rotation, r.DeletedAt})
	return string(text), err
}

// recordScan collects the rows of one or more records: one row per label per
// version.
type recordScan struct{ found []record.Record }

func (s *recordScan) row(row scanner) error {
	var name, suffix string
	var created, changed, accessed, deleteAt int64
	var text []byte
	var id, label sql.NullString
	var versionCreated, versionAccessed, size sql.NullInt64
	err := row.Scan(&name, &suffix, &created, &changed, &accessed, &deleteAt, &text,
		&id, &versionCreated, &versionAccessed, &size, &label)
	if err != nil {
		return err
	}
	if n := len(s.found); n == 0 || s.found[n-1].Name != name {
		var d details
		if err := json.Unmarshal(text, &d); err != nil {
			return rota.WithRemedies(fmt.Errorf("the details of secret %s can't be parsed: the database is damaged", name), rota.Outside("restore a backup"))
		}
		s.found = append(s.found, record.Record{
			Name: name, Suffix: suffix, Description: d.Description, KMSKeyID: d.KMSKeyID, Type: d.Type, Tags: d.Tags,
			Policy: d.Policy, Rotation: d.Rotation, CreatedAt: fromMicros(created), ChangedAt: fromMicros(changed),
			AccessedAt: fromMicros(accessed), DeletedAt: d.DeletedAt, DeleteAt: fromMicros(deleteAt),
		})
	}
	if !id.Valid {
		return nil
	}
	r := &s.found[len(s.found)-1]
	if n := len(r.Versions); n == 0 || r.Versions[n-1].ID != id.String {
		r.Versions = append(r.Versions, record.Version{
			ID: id.String, CreatedAt: fromMicros(versionCreated.Int64), AccessedAt: fromMicros(versionAccessed.Int64), Empty: size.Int64 == 0,
		})
	}
	if v := &r.Versions[len(r.Versions)-1]; label.Valid {
		v.Labels = append(v.Labels, label.String)
	}
	return nil
}

// scanRecords reads and closes the rows.
func scanRecords(rows *sql.Rows) ([]record.Record, error) {
	defer func() { _ = rows.Close() }()
	var s recordScan
	for rows.Next() {
		if err := s.row(rows); err != nil {
			return nil, err
		}
	}
	return s.found, rows.Err()
}

// record reads a secret inside the transaction, expired or not, and reports
// whether there is one.
func (t *tx) record(name string) (record.Record, bool, error) {
	var s recordScan
	if err := t.rows(sqlRecord, []any{name}, s.row); err != nil || len(s.found) == 0 {
		return record.Record{}, false, err
	}
	return s.found[0], true, nil
}

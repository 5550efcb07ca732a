package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"rota"
)

// SecretStatus is a line of the table of all secrets.
type SecretStatus struct {
	Name    string        `json:"name"`
	Status  rota.Status   `json:"status,omitzero"`
	Failure *rota.Failure `json:"failure,omitempty"`
	NextAt  time.Time     `json:"next_at,omitzero"` // when it is looked at again; zero: at once
	Holder  string        `json:"holder,omitempty"` // who is at it now
}

// Statuses lists every secret that is or was enrolled, or had a lease once, by
// name.
func (db *DB) Statuses(ctx context.Context) ([]SecretStatus, error) {
	rows, err := db.reader.QueryContext(ctx, sqlStatuses)
	if err != nil {
		return nil, fmt.Errorf("statuses: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	now := micros(db.Now())
	var all []SecretStatus
	var instances []string
	for rows.Next() {
		var s SecretStatus
		var instance string
		var status, failure sql.RawBytes
		var expires, next int64
		err := rows.Scan(&s.Name, &s.Holder, &expires, &instance, &next, &status, &failure)
		if err == nil {
			err = json.Unmarshal(status, &s.Status)
		}
		if err == nil && len(failure) > 0 {
			err = json.Unmarshal(failure, &s.Failure)
		}
		if err != nil {
			return nil, fmt.Errorf("status of secret %s: %w", s.Name, explain(err))
		}
		if expires <= now {
			s.Holder = ""
		}
		s.NextAt = fromMicros(next)
		all = append(all, s)
		instances = append(instances, instance)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("statuses: %w", explain(err))
	}
	// The rows' connection is free again: asking who is dead may need another.
	dead := map[string]bool{}
	for i, instance := range instances {
		if all[i].Holder == "" {
			continue
		}
		if _, asked := dead[instance]; !asked {
			dead[instance] = db.self.dead(instance)
		}
		if dead[instance] {
			all[i].Holder = ""
		}
	}
	return all, nil
}

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

// Due lists secrets that should be looked at, the longest overdue first, at
// most limit of them. It leaves out those that somebody has a lease on, dead or
// alive, until its time is over, and knows only secrets that had a lease once: what was never looked at is known
// from the configuration alone.
func (db *DB) Due(ctx context.Context, now time.Time, limit int) ([]string, error) {
	rows, err := db.reader.QueryContext(ctx, sqlDue, micros(now), limit)
	if err != nil {
		return nil, fmt.Errorf("secrets that are due: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("secrets that are due: %w", explain(err))
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("secrets that are due: %w", explain(err))
	}
	return names, nil
}

// Statuses lists every secret that had a lease once, by name.
func (db *DB) Statuses(ctx context.Context) ([]SecretStatus, error) {
	rows, err := db.reader.QueryContext(ctx, sqlStatuses)
	if err != nil {
		return nil, fmt.Errorf("statuses: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	now := micros(db.now())
	var all []SecretStatus
	dead := map[string]bool{}
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
		if s.Holder != "" && expires > now {
			if _, asked := dead[instance]; !asked {
				dead[instance] = db.self.dead(instance)
			}
		}
		if expires <= now || dead[instance] {
			s.Holder = ""
		}
		s.NextAt = fromMicros(next)
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("statuses: %w", explain(err))
	}
	return all, nil
}

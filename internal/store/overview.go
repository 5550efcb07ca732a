package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// SecretStatus is one secret's row in the status table.
type SecretStatus struct {
	Name    string            `json:"name"`
	Status  rotation.Status   `json:"status,omitzero"`
	Failure *rotation.Failure `json:"failure,omitempty"`
	NextAt  time.Time         `json:"next_at,omitzero"` // when its next turn is; zero: immediately
	Holder  string            `json:"holder,omitempty"` // who is working on it now
}

// Statuses lists every secret that is or was enrolled, or ever had a lease,
// sorted by name.
func (db Overview) Statuses(ctx context.Context) ([]SecretStatus, error) {
	var all []SecretStatus
	var instances []string
	err := db.statuses(ctx, sqlStatuses, nil, func(scan scanStatus) error {
		s, instance, err := scan()
		all, instances = append(all, s), append(instances, instance)
		return err
	})
	if err != nil {
		return nil, err
	}
	db.dropDeadHolders(instances, func(i int) *SecretStatus { return &all[i] })
	return all, nil
}

// StatusesOf returns the statuses of those secrets that are enrolled, by name.
func (db Overview) StatusesOf(ctx context.Context, names []string) (map[string]rotation.Status, error) {
	fail := func(err error) (map[string]rotation.Status, error) {
		return nil, fmt.Errorf("statuses: %w", explain(err))
	}
	wanted := make([][1]string, len(names))
	for i, name := range names {
		wanted[i][0] = name
	}
	text, err := json.Marshal(wanted)
	if err != nil {
		return fail(err)
	}
	rows, err := db.reader.QueryContext(ctx, fmt.Sprintf(sqlStatusesOf, db.dialect.array), string(text))
	if err != nil {
		return fail(err)
	}
	defer func() { _ = rows.Close() }()
	all := make(map[string]rotation.Status, len(names))
	for rows.Next() {
		var name string
		var text sql.RawBytes
		var s rotation.Status
		if err := rows.Scan(&name, &text); err != nil {
			return fail(err)
		}
		if err := json.Unmarshal(text, &s); err != nil {
			return fail(err)
		}
		all[name] = s
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return all, nil
}

// EnrolledSecret is an enrolled secret's status and what affects it.
type EnrolledSecret struct {
	SecretStatus
	Paused *rotation.Halt // nil if it isn't paused
	Unsent bool           // an event hasn't been accepted by its notifier yet
}

// Enrolled lists at most limit enrolled secrets that sort after a name, in
// order.
func (db Overview) Enrolled(ctx context.Context, after string, limit int) ([]EnrolledSecret, error) {
	var all []EnrolledSecret
	var instances []string
	err := db.statuses(ctx, sqlEnrolledStatuses, []any{after, limit}, func(scan scanStatus) error {
		var s EnrolledSecret
		var paused string
		var instance string
		var err error
		if s.SecretStatus, instance, err = scan(&paused, &s.Unsent); err == nil && paused != "" {
			err = json.Unmarshal([]byte(paused), &s.Paused)
		}
		all, instances = append(all, s), append(instances, instance)
		return err
	})
	if err != nil {
		return nil, err
	}
	db.dropDeadHolders(instances, func(i int) *SecretStatus { return &all[i].SecretStatus })
	return all, nil
}

// scanStatus scans the current row: the columns of a status, and whatever
// columns the query has after them. The instance is the holder's.
type scanStatus func(more ...any) (s SecretStatus, instance string, err error)

// statuses calls f for each row of a status query.
func (db *core) statuses(ctx context.Context, query string, args []any, f func(scanStatus) error) error {
	rows, err := db.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("statuses: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	now := micros(db.clock.now())
	for rows.Next() {
		var s SecretStatus
		err := f(func(more ...any) (SecretStatus, string, error) {
			var instance string
			var status, failure sql.RawBytes
			var expires, next int64
			err := rows.Scan(append([]any{&s.Name, &s.Holder, &expires, &instance, &next, &status, &failure}, more...)...)
			if err == nil {
				err = json.Unmarshal(status, &s.Status)
			}
			if err == nil && len(failure) > 0 {
				err = json.Unmarshal(failure, &s.Failure)
			}
			if expires <= now {
				s.Holder = ""
			}
			s.NextAt = fromMicros(next)
			return s, instance, err
		})
		if err != nil {
			return fmt.Errorf("status of secret %s: %w", s.Name, explain(err))
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("statuses: %w", explain(err))
	}
	return nil
}

// dropDeadHolders clears holders that are dead. No rows may be open, because
// checking who's dead may need their connection.
func (db *core) dropDeadHolders(instances []string, status func(int) *SecretStatus) {
	dead := map[string]bool{}
	for i, instance := range instances {
		s := status(i)
		if s.Holder == "" {
			continue
		}
		if _, asked := dead[instance]; !asked {
			dead[instance] = db.liveness.dead(instance)
		}
		if dead[instance] {
			s.Holder = ""
		}
	}
}

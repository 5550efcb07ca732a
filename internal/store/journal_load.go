package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota/rotation"
)

// Load reads everything kept about a secret, and the status of its peers, in
// one statement, so that the parts are consistent even while others write.
func (db Journal) Load(ctx context.Context, secret string, peers ...string) (rotation.Snapshot, error) {
	args := []any{secret}
	for _, peer := range peers {
		args = append(args, peer)
	}
	var s rotation.Snapshot
	err := db.reads.rows(ctx, db.reader, loadQuery(len(peers)), args, func(row scanner) error {
		var r snapshotRow
		if err := r.scan(row); err != nil {
			return err
		}
		return r.addTo(&s, secret, slices.Contains(peers, r.secret))
	})
	if err != nil {
		return rotation.Snapshot{}, fmt.Errorf("progress of secret %s: %w", secret, explain(err))
	}
	return s, nil
}

// loadQuery reads a secret and that many peers. The first row applies to all
// secrets; then comes one row for each of these secrets that the store knows.
func loadQuery(peers int) string {
	var names strings.Builder
	for i := range peers {
		fmt.Fprintf(&names, ", $%d", i+2)
	}
	return fmt.Sprintf(sqlLoad, names.String())
}

// snapshotRow is one row of [sqlLoad].
type snapshotRow struct {
	secret           string // "" in the first row
	progress, status []byte // JSON; progress for the secret itself only
	lifted           int64
	paused, frozen   []byte // JSON; empty if neither
	restoredAt       int64
}

func (r *snapshotRow) scan(row scanner) error {
	return row.Scan(&r.secret, &r.progress, &r.status, &r.lifted, &r.paused, &r.frozen, &r.restoredAt)
}

// addTo adds the row to the snapshot of a secret.
func (r *snapshotRow) addTo(s *rotation.Snapshot, secret string, isPeer bool) error {
	if r.secret == "" {
		s.RestoredAt = fromMicros(r.restoredAt)
		return decode(r.frozen, &s.Halts.Frozen)
	}
	if isPeer {
		var status rotation.Status
		if err := decode(r.status, &status); err != nil {
			return err
		}
		if s.Peers == nil {
			s.Peers = map[string]rotation.Status{}
		}
		s.Peers[r.secret] = status
	}
	if r.secret != secret {
		return nil
	}
	if err := decode(r.progress, &s.Progress); err != nil {
		return err
	}
	if r.lifted > 0 {
		clearFailures(&s.Progress)
	}
	return decode(r.paused, &s.Halts.Paused)
}

// decode parses JSON from a column that may be empty.
func decode(text []byte, into any) error {
	if len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, into)
}

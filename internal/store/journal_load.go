package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota/rotation"
)

// Load reads everything kept about a secret, what its store holds, and the
// status of its peers, in one statement, so that the parts are consistent even
// while others write.
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
	sortVersions(&s.Contents)
	return s, nil
}

// loadQuery reads a secret and that many peers.
func loadQuery(peers int) string {
	var names strings.Builder
	for i := range peers {
		fmt.Fprintf(&names, ", $%d", i+2)
	}
	return fmt.Sprintf(sqlLoad, names.String())
}

// What a [snapshotRow] is about.
const (
	rowOfAll     = iota // applies to every secret
	rowOfSecret         // one of those asked for
	rowOfVersion        // the secret's store
)

// snapshotRow is one row of [sqlLoad].
type snapshotRow struct {
	kind             int
	secret           string // of rowOfSecret
	progress, status []byte // JSON; progress for the secret itself only
	lifted           int64
	paused, frozen   []byte // JSON; empty if neither
	restoredAt       int64
	contents         contentsRow
}

func (r *snapshotRow) scan(row scanner) error {
	c := &r.contents
	return row.Scan(&r.kind, &r.secret, &r.progress, &r.status, &r.lifted, &r.paused, &r.frozen, &r.restoredAt,
		&c.changed, &c.version, &c.created, &c.label)
}

// addTo adds the row to the snapshot of a secret.
func (r *snapshotRow) addTo(s *rotation.Snapshot, secret string, isPeer bool) error {
	switch r.kind {
	case rowOfAll:
		s.RestoredAt = fromMicros(r.restoredAt)
		return decode(r.frozen, &s.Halts.Frozen)
	case rowOfVersion:
		r.contents.addTo(&s.Contents)
		return nil
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

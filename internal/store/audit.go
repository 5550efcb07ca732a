package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rota-dev/rota/rotation"
)

// head is the end of the audit chain: the last entry's number and hash. The
// zero value is the head of an empty chain.
type head struct {
	seq  int64
	hash [sha256.Size]byte
}

// next is the head after another entry: SHA-256 over the previous hash, the
// entry's number as eight bytes, big-endian, and the entry's stored JSON.
func (h head) next(entry []byte) head {
	n := head{seq: h.seq + 1}
	d := sha256.New()
	d.Write(h.hash[:])
	d.Write(n.number())
	d.Write(entry)
	d.Sum(n.hash[:0])
	return n
}

func (h head) number() []byte { return binary.BigEndian.AppendUint64(nil, uint64(h.seq)) }

// sealInput is what the head's seal is computed over.
func (h head) sealInput() []byte {
	return append(append([]byte("rota audit head\x00"), h.number()...), h.hash[:]...)
}

// Record writes audit entries that don't belong to a lease, such as a read of a
// value. They are durable when it returns.
func (db Audit) Record(ctx context.Context, entries ...rotation.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := db.writer.do(ctx, "", func(t *tx) error { return t.append(entries) }); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// append queues entries for the chain; the commit writes them.
func (t *tx) append(entries []rotation.Entry) error {
	for _, e := range entries {
		e.At = e.At.UTC()
		text, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("audit entry of secret %s: %w", e.Secret, err)
		}
		t.entries = append(t.entries, text)
	}
	return nil
}

// writeAudit chains the transaction's entries and seals the new end of the
// chain, all in the same round trip as the commit. The end is the one row that
// every process writes, so its lock is taken last and held only for the
// duration of the commit.
//
// An end that Rota didn't seal is never sealed over: the next entry says what
// was wrong, and [Audit.Verify] fails at that entry from then on. Refusing the
// write instead would stop every rotation and every read.
func (t *tx) writeAudit() error {
	if len(t.entries) == 0 && !t.checked {
		return nil
	}
	last, end, err := t.readEnd()
	if err != nil || len(t.entries) == 0 {
		return err
	}
	entries := t.entries
	if broken := end.check(t.committer.seals, last); broken != nil {
		first, err := breakEntry(t.now, broken)
		if err != nil {
			return err
		}
		entries = slices.Concat([][]byte{first}, entries)
		t.broken = true
	}
	h := last
	for rest := entries; len(rest) > 0; {
		insert := auditInsert(len(rest))
		args := make([]any, 0, 3*insert.rows)
		for _, text := range rest[:insert.rows] {
			h = h.next(text)
			args = append(args, h.seq, string(text), bytes.Clone(h.hash[:]))
		}
		t.enqueue(insert.query, args...)
		rest = rest[insert.rows:]
	}
	seal, err := t.committer.seals.seal(h)
	if err != nil {
		return err
	}
	update := sqlUpdateHead
	if !end.found {
		update = sqlInsertHead
	}
	t.enqueue(update, h.seq, h.hash[:], seal)
	t.end = h
	return nil
}

// insertion is an INSERT of so many entries.
type insertion struct {
	rows  int
	query string
}

// auditInserts insert 64, 16, 4 entries and one. There are only a few, so that all
// of them are soon prepared: preparing one costs a round trip while everyone waits
// for the end of the chain.
var auditInserts = []insertion{newAuditInsert(64), newAuditInsert(16), newAuditInsert(4), newAuditInsert(1)}

func newAuditInsert(rows int) insertion {
	values := make([]string, rows)
	for i := range values {
		values[i] = fmt.Sprintf("($%d, $%d, $%d)", 3*i+1, 3*i+2, 3*i+3)
	}
	return insertion{rows: rows, query: sqlInsertAudit + strings.Join(values, ", ")}
}

// auditInsert returns the INSERT of the next of the remaining entries.
func auditInsert(remaining int) insertion {
	i := slices.IndexFunc(auditInserts, func(one insertion) bool { return one.rows <= remaining })
	return auditInserts[i]
}

// AuditQuery selects audit entries.
type AuditQuery struct {
	Secret string // "" for all
	After  int64  // only entries with a higher number
	Before int64  // only entries with a lower number; 0 for no bound
	Newest bool   // newest first
	Limit  int    // defaults to 1000
}

// AuditRecord is an entry with its position in the chain.
type AuditRecord struct {
	Seq   int64          `json:"seq"`
	Entry rotation.Entry `json:"entry"`
	Hash  string         `json:"hash"` // hexadecimal
}

// Read returns entries in the chain's order, or newest first.
func (db Audit) Read(ctx context.Context, q AuditQuery) ([]AuditRecord, error) {
	if q.Limit <= 0 {
		q.Limit = 1000
	}
	if q.Before <= 0 {
		q.Before = math.MaxInt64
	}
	query := sqlAuditUp
	args := []any{q.After, q.Before, q.Limit}
	switch {
	case q.Secret != "" && q.Newest:
		query, args = sqlAuditDownOf, append(args, q.Secret)
	case q.Secret != "":
		query, args = sqlAuditUpOf, append(args, q.Secret)
	case q.Newest:
		query = sqlAuditDown
	}
	rows, err := db.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	var out []AuditRecord
	for rows.Next() {
		var r AuditRecord
		var text string
		var hash []byte
		if err := rows.Scan(&r.Seq, &text, &hash); err != nil {
			return nil, fmt.Errorf("audit: %w", explain(err))
		}
		if err := json.Unmarshal([]byte(text), &r.Entry); err != nil {
			return nil, &TamperError{Seq: r.Seq, Reason: "the entry can't be parsed"}
		}
		r.Hash = hex.EncodeToString(hash)
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("audit: %w", explain(err))
	}
	return out, nil
}

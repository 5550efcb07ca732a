package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/rota-dev/rota"
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
func (t *tx) writeAudit() error {
	if len(t.entries) == 0 {
		return nil
	}
	h, err := t.readHead(t.committer.dialect.forUpdate)
	if err != nil {
		return err
	}
	for rest := t.entries; len(rest) > 0; {
		n := insertSize(len(rest))
		query := strings.Builder{}
		query.WriteString(sqlInsertAudit)
		var args []any
		for i, text := range rest[:n] {
			h = h.next(text)
			if i > 0 {
				query.WriteString(", ")
			}
			fmt.Fprintf(&query, "($%d, $%d, $%d)", 3*i+1, 3*i+2, 3*i+3)
			args = append(args, h.seq, string(text), bytes.Clone(h.hash[:]))
		}
		t.enqueue(query.String(), args...)
		rest = rest[n:]
	}
	seal, err := t.committer.seal(h)
	if err != nil {
		return err
	}
	t.enqueue(sqlUpdateHead, h.seq, h.hash[:], seal)
	return nil
}

// insertSize is how many of the remaining entries go into the next INSERT.
// There are only a few sizes, so that all of them are soon prepared: preparing
// one costs a round trip while everyone waits for the end of the chain.
func insertSize(entries int) int {
	for _, n := range []int{64, 16, 4} {
		if entries >= n {
			return n
		}
	}
	return 1
}

// readHead reads the end of the chain. lock is a locking clause in the
// database's dialect, "" for none.
func (t *tx) readHead(lock string) (head, error) {
	var h head
	var hash, seal []byte
	found, err := t.row(sqlHead+lock, nil, &h.seq, &hash, &seal)
	if err != nil {
		return h, err
	}
	if !found || len(hash) != len(h.hash) {
		return h, &TamperError{Seq: h.seq, Reason: "the record of the chain's end is missing"}
	}
	copy(h.hash[:], hash)
	return h, nil
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

// TamperError means that the audit was changed behind Rota's back.
type TamperError struct {
	Seq    int64 // the first number that is wrong; one past the last if only the seal is
	Reason string
}

func (e *TamperError) Error() string {
	return fmt.Sprintf("audit entry %d: %s: the audit was tampered with", e.Seq, e.Reason)
}

// Remedies are what a person can do about it.
func (e *TamperError) Remedies() []rota.Remedy { return rota.Outside("compare with a backup") }

// VerifyResult is what an intact chain ends with. Someone who records it
// elsewhere can later tell whether the whole database was replaced by an older
// state, which nothing inside the database can show.
type VerifyResult struct {
	Entries int    `json:"entries"`
	Head    string `json:"head"` // the last entry's hash, hexadecimal
}

// Verify recomputes the whole chain from the first entry and compares its end
// with the sealed one. A mismatch is a [*TamperError].
func (db Audit) Verify(ctx context.Context) (VerifyResult, error) {
	return verify(ctx, db.reader, db.dialect.snapshot, db.keys)
}

// verify reads in one transaction, so that entries being added don't look like
// tampering.
func verify(ctx context.Context, pool *sql.DB, snapshot *sql.TxOptions, keys *keys) (VerifyResult, error) {
	fail := func(err error) (VerifyResult, error) {
		if _, ok := errors.AsType[*TamperError](err); !ok {
			err = fmt.Errorf("verify the audit: %w", explain(err))
		}
		return VerifyResult{}, err
	}
	state, err := pool.BeginTx(ctx, snapshot)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = state.Rollback() }()
	rows, err := state.QueryContext(ctx, sqlAuditAll)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = rows.Close() }()
	var h head
	for rows.Next() {
		var seq int64
		var text, hash []byte
		if err := rows.Scan(&seq, &text, &hash); err != nil {
			return fail(err)
		}
		next := h.next(text)
		if seq != next.seq {
			return fail(&TamperError{Seq: next.seq, Reason: "the entry is missing"})
		}
		if !bytes.Equal(hash, next.hash[:]) {
			return fail(&TamperError{Seq: seq, Reason: "its hash doesn't follow from the entry and its predecessor"})
		}
		h = next
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}

	var end head
	var hash, seal []byte
	err = state.QueryRowContext(ctx, sqlHead).Scan(&end.seq, &hash, &seal)
	if isNoRows(err) || (err == nil && len(hash) != len(end.hash)) {
		return fail(&TamperError{Seq: h.seq + 1, Reason: "the record of the chain's end is missing"})
	}
	if err != nil {
		return fail(err)
	}
	copy(end.hash[:], hash)
	if err := keys.checkSeal(end, seal); err != nil {
		return fail(&TamperError{Seq: min(h.seq, end.seq) + 1, Reason: "the seal on the chain's end is wrong"})
	}
	if end.seq > h.seq {
		return fail(&TamperError{Seq: h.seq + 1, Reason: "this entry and everything after it were cut off"})
	}
	if end.seq < h.seq {
		return fail(&TamperError{Seq: end.seq + 1, Reason: "the entry is beyond the sealed end"})
	}
	if end.hash != h.hash {
		return fail(&TamperError{Seq: h.seq, Reason: "its hash differs from the sealed one"})
	}
	return VerifyResult{Entries: int(h.seq), Head: hex.EncodeToString(h.hash[:])}, nil
}

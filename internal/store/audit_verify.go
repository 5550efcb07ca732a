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
	"hash"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// VerifyResult is what an intact chain ends with. Someone who records it
// elsewhere can later tell whether the whole database was replaced by an older
// state, which nothing inside the database can show.
type VerifyResult struct {
	Entries int     `json:"entries"`
	Head    string  `json:"head"` // the last entry's hash, hexadecimal
	Breaks  []Break `json:"breaks,omitempty"`
}

// Break is a place where the audit was changed behind Rota's back, and who
// acknowledged that. It stays in the result of every verification.
type Break struct {
	Seq    int64     `json:"seq"` // as in [TamperError]
	Reason string    `json:"reason"`
	Actor  string    `json:"actor"` // who acknowledged it, and when
	At     time.Time `json:"at"`
}

// Verify recomputes the whole chain from the first entry and compares its end
// with the sealed one. A mismatch that nobody has acknowledged is a
// [*TamperError].
func (db Audit) Verify(ctx context.Context) (VerifyResult, error) {
	result, err := verify(ctx, db.reader, db.dialect.snapshot, db.keys)
	if broken, ok := errors.AsType[*TamperError](err); ok {
		broken.acknowledge = true
	}
	return result, err
}

func verify(ctx context.Context, pool *sql.DB, snapshot *sql.TxOptions, keys *keys) (VerifyResult, error) {
	w, err := walk(ctx, pool, snapshot, keys)
	switch {
	case err != nil:
		return VerifyResult{}, fmt.Errorf("verify the audit: %w", explain(err))
	case len(w.open) > 0:
		return VerifyResult{}, w.open[0]
	}
	return VerifyResult{Entries: int(w.last.seq), Head: hex.EncodeToString(w.last.hash[:]), Breaks: w.acknowledged}, nil
}

// ErrNoBreak is returned for an acknowledgment of nothing.
var ErrNoBreak = errors.New("the audit's chain is intact: there's nothing to acknowledge")

// Acknowledge records that whoever made the entry knows of every break that the
// chain has now, and why. From then on, Verify succeeds again and lists them.
// Whatever is changed later, before or after the breaks, makes it fail again.
func (db Audit) Acknowledge(ctx context.Context, e rotation.Entry) ([]Break, error) {
	w, err := walk(ctx, db.reader, db.dialect.snapshot, db.keys)
	if err == nil && len(w.open) == 0 {
		return nil, ErrNoBreak
	}
	e.Step = rotation.OpAcknowledge
	if err == nil && !w.ended {
		// The end isn't sealed: another entry records that in the chain itself.
		begun := e
		begun.Outcome = rotation.OutcomeBegun
		if err = db.Record(ctx, begun); err == nil {
			w, err = walk(ctx, db.reader, db.dialect.snapshot, db.keys)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("acknowledge the audit's breaks: %w", explain(err))
	}
	e.Outcome, e.Object = rotation.OutcomeSucceeded, w.digestAtBreak
	if err := db.Record(ctx, e); err != nil {
		return nil, err
	}
	result, err := db.Verify(ctx)
	return result.Breaks, err
}

// maxBreaks bounds how many breaks a verification remembers: a single deleted
// entry is one, a rewritten history may be one per entry.
const maxBreaks = 100

// walker follows the chain. After a break it goes on with whatever is there, so
// that it also finds what comes later.
type walker struct {
	last   head
	digest hash.Hash // over all entries so far, whether they fit or not
	open   []*TamperError
	// digestAtBreak is the digest at the latest break. An acknowledgment names
	// it, and so covers exactly what its author could look at.
	digestAtBreak string
	acknowledged  []Break
	ended         bool // the record of the end fits the last entry
}

// walk reads in one transaction, so that entries being added don't look like
// tampering.
func walk(ctx context.Context, pool *sql.DB, snapshot *sql.TxOptions, seals sealer) (*walker, error) {
	state, err := pool.BeginTx(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	defer func() { _ = state.Rollback() }()
	rows, err := state.QueryContext(ctx, sqlAuditAll)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	w := &walker{digest: sha256.New()}
	for rows.Next() {
		var seq int64
		var text, hash []byte
		if err := rows.Scan(&seq, &text, &hash); err != nil {
			return nil, err
		}
		w.step(seq, text, hash)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	var end sealedEnd
	if err := end.scan(state.QueryRowContext(ctx, sqlHead)); err != nil && !isNoRows(err) {
		return nil, err
	}
	broken := end.check(seals, w.last)
	if w.ended = broken == nil; !w.ended {
		w.found(broken)
	}
	return w, nil
}

func (w *walker) step(seq int64, text, hash []byte) {
	next := w.last.next(text)
	var broken *TamperError
	switch {
	case seq != next.seq:
		broken = &TamperError{Seq: next.seq, Reason: "the entry is missing"}
	case !bytes.Equal(hash, next.hash[:]):
		broken = &TamperError{Seq: seq, Reason: "its hash doesn't follow from the entry and its predecessor"}
	}
	w.last.seq = seq
	clear(w.last.hash[:])
	copy(w.last.hash[:], hash)
	if broken == nil {
		broken = w.read(seq, text)
	}

	for _, part := range [][]byte{binary.BigEndian.AppendUint64(nil, uint64(seq)), text, hash} {
		_, _ = w.digest.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = w.digest.Write(part)
	}
	if broken != nil {
		w.found(broken)
	}
}

// read looks at an entry that follows from its predecessor, for what Rota and
// people recorded about the chain itself.
func (w *walker) read(seq int64, text []byte) *TamperError {
	if !bytes.Contains(text, []byte(rotation.OpAuditBroken)) && !bytes.Contains(text, []byte(rotation.OpAcknowledge)) {
		return nil // nearly all of them
	}
	var e rotation.Entry
	if err := json.Unmarshal(text, &e); err != nil {
		return &TamperError{Seq: seq, Reason: "the entry can't be parsed"}
	}
	switch {
	case e.Step == rotation.OpAuditBroken:
		return &TamperError{Seq: seq, Reason: "the chain was broken before this entry (" + e.Detail + ")"}
	case e.Step == rotation.OpAcknowledge && e.Outcome == rotation.OutcomeSucceeded && e.Object == w.digestAtBreak:
		for _, broken := range w.open {
			w.acknowledged = append(w.acknowledged, Break{Seq: broken.Seq, Reason: broken.Reason, Actor: e.Actor, At: e.At})
		}
		w.open = nil
	}
	return nil
}

func (w *walker) found(broken *TamperError) {
	if w.digestAtBreak = hex.EncodeToString(w.digest.Sum(nil)); len(w.open) < maxBreaks {
		w.open = append(w.open, broken)
	}
}

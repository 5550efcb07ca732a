package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// sealer seals ends of the audit chain, and recognizes its own seals.
type sealer interface {
	seal(h head) ([]byte, error)
	checkSeal(h head, seal []byte) error
	// forget drops what it remembers of the database.
	forget()
}

// sealedEnd is the record of the chain's end. Whoever can write to the database
// can write any number and hash into it, but not a seal that fits.
type sealedEnd struct {
	head
	seal  []byte
	found bool // the record is there, and has the form of one
}

func (e *sealedEnd) scan(row scanner) error {
	var hash []byte
	if err := row.Scan(&e.seq, &hash, &e.seal); err != nil {
		return err
	}
	copy(e.hash[:], hash)
	if e.found = true; len(hash) != sha256.Size {
		e.seal = nil
	}
	return nil
}

// check compares the record with the last entry that's there. It returns nil if
// the chain ends where Rota ended it.
func (e *sealedEnd) check(s sealer, last head) *TamperError {
	switch {
	case !e.found:
		return &TamperError{Seq: last.seq + 1, Reason: "the record of the chain's end is missing"}
	case s.checkSeal(e.head, e.seal) != nil:
		return &TamperError{Seq: min(last.seq, e.seq) + 1, Reason: "the seal on the chain's end is wrong"}
	case e.seq > last.seq:
		return &TamperError{Seq: last.seq + 1, Reason: "this entry and everything after it were cut off"}
	case e.seq < last.seq:
		return &TamperError{Seq: e.seq + 1, Reason: "the entry is beyond the sealed end"}
	case e.hash != last.hash:
		return &TamperError{Seq: last.seq, Reason: "its hash differs from the sealed one"}
	}
	return nil
}

// readEnd locks the record of the end, and reads it and the last entry. The
// record comes first: on PostgreSQL, only a statement that starts after the lock
// was granted sees what its last holder wrote.
func (t *tx) readEnd() (last head, end sealedEnd, err error) {
	known, _ := t.committer.lastEnd.get()
	var hash []byte // of the known end
	err = t.send([]*statement{
		{query: sqlHead + t.committer.dialect.forUpdate, scan: end.scan},
		{query: sqlAuditLast, scan: func(row scanner) error {
			var hash []byte
			err := row.Scan(&last.seq, &hash)
			copy(last.hash[:], hash)
			return err
		}},
		{query: sqlAuditHash, args: []any{known.seq}, scan: func(row scanner) error { return row.Scan(&hash) }},
	})
	switch {
	case err != nil || t.accepts:
	case t.state != t.committer.lastEnd.current():
		err = ErrWentBack
	case known.seq > 0 && !bytes.Equal(hash, known.hash[:]) && end.check(t.committer.seals, last) == nil:
		err = ErrWentBack
	}
	return last, end, err
}

// breakEntry records that the chain didn't end where Rota ended it. Nothing
// before this entry is proven by what comes after it.
func breakEntry(now time.Time, broken *TamperError) ([]byte, error) {
	return json.Marshal(rotation.Entry{
		At: now.UTC(), Actor: "rota", Step: rotation.OpAuditBroken, Outcome: rotation.OutcomeFailed,
		Detail: fmt.Sprintf("entry %d: %s", broken.Seq, broken.Reason),
	})
}

// TamperError means that the audit was changed behind Rota's back.
type TamperError struct {
	Seq    int64 // the first number that is wrong; one past the last if only the seal is
	Reason string

	acknowledge bool // it shows inside the database, so it can be acknowledged there
}

func (e *TamperError) Error() string {
	return fmt.Sprintf("audit entry %d: %s: the audit was tampered with", e.Seq, e.Reason)
}

// Remedies are what a person can do about it.
func (e *TamperError) Remedies() []rota.Remedy {
	remedies := rota.Outside("compare with a backup")
	if e.acknowledge {
		remedies = append(remedies, rota.Command("rota audit acknowledge --reason TEXT")...)
	}
	return remedies
}

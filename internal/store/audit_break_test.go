package store

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/rota-dev/rota/rotation"
)

// withoutTriggers are the first statements of whoever changes the audit.
var withoutTriggers = []string{`DROP TRIGGER IF EXISTS audit_no_update`, `DROP TRIGGER IF EXISTS audit_no_delete`, `DROP TRIGGER IF EXISTS audit_in_order`}

// forge replaces the audit's entries by others and computes a chain over them,
// as anyone who can write to the database could: without the seal's key.
func forge(t testing.TB, db *DB, change func(rotation.Entry) (_ rotation.Entry, keep bool)) {
	t.Helper()
	records, err := db.Audit().Read(t.Context(), AuditQuery{})
	must(t, err)
	tamper(t, db, append(withoutTriggers, `DELETE FROM audit`)...)
	must(t, db.writer.do(t.Context(), "", func(tx *tx) error {
		var h head
		for _, r := range records {
			e, keep := change(r.Entry)
			if !keep {
				continue
			}
			text, err := json.Marshal(e)
			if err != nil {
				return err
			}
			h = h.next(text)
			if _, err := tx.exec(sqlInsertAudit+`($1, $2, $3)`, h.seq, string(text), h.hash[:]); err != nil {
				return err
			}
		}
		_, err := tx.exec(inWordsOf(db, `UPDATE audit_head SET seq = $1, hash = $2`), h.seq, h.hash[:])
		return err
	}))
}

func tampered(t testing.TB, db *DB) *TamperError {
	t.Helper()
	result, err := db.Audit().Verify(t.Context())
	found, ok := errors.AsType[*TamperError](err)
	if !ok {
		t.Fatalf("verify: %+v, %v, want tampering", result, err)
	}
	return found
}

func TestARewrittenAuditIsNeverSealedOver(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		db := openAt(t, dir, nil)
		note(t, db, 6)
		forge(t, db, func(e rotation.Entry) (rotation.Entry, bool) {
			e.Actor = "innocent"
			return e, e.Version != "v3"
		})
		if found := tampered(t, db); found.Seq != 6 {
			t.Errorf("right after: %v, want the end after the five that are left", found)
		}
		if h, err := db.Audit().SignedHead(t.Context()); err == nil {
			t.Errorf("Rota signed the forged end %+v", h)
		}

		for _, writer := range []*DB{db, openAt(t, dir, nil), db} {
			note(t, writer, 1) // nothing stops, and nothing is lost
			if found := tampered(t, db); found.Seq != 6 || !strings.Contains(found.Reason, "the seal on the chain's end is wrong") {
				t.Errorf("after more entries: %v, want the break at entry 6", found)
			}
		}
		if _, err := db.Audit().SignedHead(t.Context()); err != nil {
			t.Errorf("the end that records the break isn't signed: %v", err)
		}
		records, err := db.Audit().Read(t.Context(), AuditQuery{After: 5})
		must(t, err)
		if len(records) != 4 || records[0].Entry.Step != rotation.OpAuditBroken || records[0].Entry.Outcome != rotation.OutcomeFailed {
			t.Errorf("entries %+v, want one that says what was found, and three others", records)
		}

		// Whoever removes that entry breaks the chain once more.
		forge(t, db, func(e rotation.Entry) (rotation.Entry, bool) { return e, e.Step != rotation.OpAuditBroken })
		note(t, db, 1)
		if found := tampered(t, db); found.Seq != 9 {
			t.Errorf("after the record of the break was removed: %v, want a break at entry 9", found)
		}
	})
}

func TestNoDamageStopsWritesOrHeals(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		for name, do := range map[string][]string{
			"a changed entry":             {`UPDATE audit SET entry = replace(entry, 'v4', 'v9') WHERE seq = 4`},
			"a changed hash":              {`UPDATE audit SET hash = zeroblob(32) WHERE seq = 4`},
			"no hash at the end":          {`UPDATE audit SET hash = zeroblob(0) WHERE seq = 6`},
			"a removed entry":             {`DELETE FROM audit WHERE seq = 4`},
			"the end cut off":             {`DELETE FROM audit WHERE seq > 4`},
			"everything removed":          {`DELETE FROM audit`},
			"the record of the end too":   {`DELETE FROM audit`, `DELETE FROM audit_head`},
			"only that record":            {`DELETE FROM audit_head`},
			"an entry added at the end":   {`INSERT INTO audit (seq, entry, hash) SELECT 7, entry, hash FROM audit WHERE seq = 6`},
			"the seal changed":            {`UPDATE audit_head SET mac = zeroblob(length(mac))`},
			"the end's number changed":    {`UPDATE audit_head SET seq = 2`},
			"a sealed hash without bytes": {`UPDATE audit_head SET hash = zeroblob(0)`},
		} {
			t.Run(name, func(t *testing.T) {
				db := openAt(t, newDir(t), nil)
				note(t, db, 6)
				tamper(t, db, append(withoutTriggers, do...)...)
				before := tampered(t, db)
				note(t, db, 2)
				if after := tampered(t, db); after.Seq > max(before.Seq, 8) {
					t.Errorf("before: %v; after more entries: %v", before, after)
				}

				by := entryNo(9)
				by.Step, by.Actor = "", "ann"
				breaks, err := db.Audit().Acknowledge(t.Context(), by)
				must(t, err)
				if len(breaks) == 0 || breaks[0].Actor != "ann" || !breaks[0].At.Equal(by.At) || breaks[0].Seq == 0 {
					t.Errorf("acknowledged %+v", breaks)
				}
				note(t, db, 1)
				result, err := db.Audit().Verify(t.Context())
				must(t, err)
				if len(result.Breaks) != len(breaks) {
					t.Errorf("verify lists %+v, want %+v", result.Breaks, breaks)
				}
				if _, err := db.Audit().Acknowledge(t.Context(), by); !errors.Is(err, ErrNoBreak) {
					t.Errorf("acknowledged again: %v", err)
				}
			})
		}
	})
}

// A person acknowledges what they looked at, and nothing else.
func TestAnAcknowledgmentCoversNothingThatChangesLater(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		broken := func(t *testing.T) *DB {
			db := openAt(t, newDir(t), nil)
			note(t, db, 6)
			forge(t, db, func(e rotation.Entry) (rotation.Entry, bool) { return e, e.Version != "v3" })
			note(t, db, 1)
			return db
		}
		acknowledged := func(t *testing.T) *DB {
			db := broken(t)
			_, err := db.Audit().Acknowledge(t.Context(), entryNo(1))
			must(t, err)
			note(t, db, 1)
			_, err = db.Audit().Verify(t.Context())
			must(t, err)
			return db
		}
		for name, do := range map[string]string{
			"an entry before the break": `UPDATE audit SET entry = replace(entry, 'a person', 'another') WHERE seq = 2`,
			"a hash before the break":   `UPDATE audit SET hash = zeroblob(32) WHERE seq = 2`,
			"the record of the break":   `UPDATE audit SET entry = replace(entry, 'audit broken', 'audit') WHERE seq = 6`,
			"an entry after the break":  `UPDATE audit SET entry = replace(entry, 'a person', 'another') WHERE seq = 7`,
			"the acknowledgment":        `UPDATE audit SET entry = replace(entry, 'a person', 'another') WHERE seq = 8`,
			"an entry after it":         `UPDATE audit SET entry = replace(entry, 'a person', 'another') WHERE seq = 9`,
			"the end":                   `UPDATE audit_head SET mac = zeroblob(length(mac))`,
		} {
			t.Run(name, func(t *testing.T) {
				db := acknowledged(t)
				tamper(t, db, append(withoutTriggers, do)...)
				tampered(t, db)
				note(t, db, 1)
				tampered(t, db)
			})
		}
		t.Run("a history forged once more, with an acknowledgment in it", func(t *testing.T) {
			db := acknowledged(t)
			forge(t, db, func(e rotation.Entry) (rotation.Entry, bool) { e.Detail = ""; return e, true })
			note(t, db, 1)
			tampered(t, db)
		})
		t.Run("an acknowledgment put in by hand", func(t *testing.T) {
			db := broken(t)
			w, err := walk(t.Context(), db.reader, db.dialect.snapshot, db.keys)
			must(t, err)
			text, err := json.Marshal(rotation.Entry{Actor: "ann", Step: rotation.OpAcknowledge, Object: w.digestAtBreak, Outcome: rotation.OutcomeSucceeded})
			must(t, err)
			h := w.last.next(text)
			must(t, db.writer.do(t.Context(), "", func(tx *tx) error {
				if _, err := tx.exec(sqlInsertAudit+`($1, $2, $3)`, h.seq, string(text), h.hash[:]); err != nil {
					return err
				}
				_, err := tx.exec(`UPDATE audit_head SET seq = $1, hash = $2`, h.seq, h.hash[:])
				return err
			}))
			tampered(t, db)
			note(t, db, 1)
			tampered(t, db)
		})
	})
}

package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/store/anchor"
	"github.com/rota-dev/rota/rotation"
)

func TestAnchoredHeadsFindWhatTheDatabaseAloneCannot(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		db, err := Open(t.Context(), options(dir, nil))
		must(t, err)
		defer func() { must(t, db.Close()) }()
		record := func(steps ...string) {
			t.Helper()
			for _, step := range steps {
				must(t, db.Audit().Record(t.Context(), rotation.Entry{At: time.Now(), Actor: "ann", Secret: "s", Step: step, Outcome: rotation.OutcomeSucceeded}))
			}
		}
		head := func() anchor.Head {
			t.Helper()
			h, err := db.Audit().SignedHead(t.Context())
			must(t, err)
			return h
		}
		heads := []anchor.Head{head()}
		record("get", "get")
		heads = append(heads, head())
		record("rotate")
		heads = append(heads, head())
		if heads[0].Seq != 0 || heads[1].Seq != 2 || heads[2].Seq != 3 || heads[0].Key != heads[2].Key {
			t.Fatalf("heads %+v", heads)
		}
		must(t, db.Audit().VerifyHeads(t.Context(), heads))

		forged := heads[2]
		forged.Hash = strings.Repeat("00", 32)
		if err := db.Audit().VerifyHeads(t.Context(), []anchor.Head{forged}); !errors.Is(err, anchor.ErrForged) {
			t.Errorf("a head with another hash: %v", err)
		}

		// Someone with the database and its keys truncates the audit and
		// reseals it: nothing inside the database shows that.
		rewrite(t, db, func(tx *tx) error {
			for _, statement := range []string{"DROP TRIGGER audit_no_delete", "DELETE FROM audit WHERE seq > 2"} {
				if _, err := tx.exec(inWordsOf(db, statement)); err != nil {
					return err
				}
			}
			return resealAt(tx, 2)
		})
		if _, err := db.Audit().Verify(t.Context()); err != nil {
			t.Fatalf("the cut should not show inside: %v", err)
		}
		err = db.Audit().VerifyHeads(t.Context(), heads)
		if tampered, ok := errors.AsType[*TamperError](err); !ok || tampered.Seq != 3 || !strings.Contains(tampered.Reason, "cut off") {
			t.Errorf("after a cut: %v", err)
		}
		// And continues with a forged history, once no process is left that remembers.
		must(t, db.Close())
		db = openAt(t, dir, nil)
		record("something else")
		err = db.Audit().VerifyHeads(t.Context(), heads)
		if tampered, ok := errors.AsType[*TamperError](err); !ok || tampered.Seq != 3 || !strings.Contains(tampered.Reason, "anchored at") {
			t.Errorf("after another history: %v", err)
		}
		// A head that someone else put beside them doesn't hide that.
		err = db.Audit().VerifyHeads(t.Context(), append([]anchor.Head{forged}, heads...))
		if _, ok := errors.AsType[*TamperError](err); !ok {
			t.Errorf("with a forged head among them: %v", err)
		}
	})
}

// rewrite does what Rota never does.
func rewrite(t *testing.T, db *DB, f func(*tx) error) {
	t.Helper()
	must(t, db.writer.do(t.Context(), "", f))
}

// resealAt seals the end of the chain at an entry.
func resealAt(t *tx, seq int64) error {
	var hash []byte
	if _, err := t.row(sqlAuditHash, []any{seq}, &hash); err != nil {
		return err
	}
	h := head{seq: seq}
	copy(h.hash[:], hash)
	seal, err := t.committer.seals.seal(h)
	if err != nil {
		return err
	}
	_, err = t.exec(sqlUpdateHead, h.seq, h.hash[:], seal)
	return err
}

package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

func entryNo(i int) rotation.Entry {
	return rotation.Entry{At: newClock().now().Add(time.Duration(i) * time.Minute), Actor: "a person", Secret: fmt.Sprintf("s%d", i%2),
		Step: "get", Version: fmt.Sprintf("v%d", i), Outcome: rotation.OutcomeSucceeded, Detail: `"quotes" & <marks>`}
}

func note(t testing.TB, db *DB, n int) {
	t.Helper()
	for i := range n {
		must(t, db.Audit().Record(t.Context(), entryNo(i+1)))
	}
}

func TestAuditQueries(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		note(t, db, 6)
		for _, tt := range []struct {
			name string
			q    AuditQuery
			want []int64
		}{
			{"all in order", AuditQuery{}, []int64{1, 2, 3, 4, 5, 6}},
			{"the first two", AuditQuery{Limit: 2}, []int64{1, 2}},
			{"two after the second", AuditQuery{After: 2, Limit: 2}, []int64{3, 4}},
			{"those of one secret", AuditQuery{Secret: "s1"}, []int64{1, 3, 5}},
			{"those of one secret after the first", AuditQuery{Secret: "s1", After: 1, Limit: 1}, []int64{3}},
			{"the newest first", AuditQuery{Newest: true, Limit: 3}, []int64{6, 5, 4}},
			{"the newest of one secret", AuditQuery{Secret: "s0", Newest: true, Limit: 2}, []int64{6, 4}},
			{"the page before", AuditQuery{Newest: true, Before: 4, Limit: 2}, []int64{3, 2}},
			{"those of a secret without any", AuditQuery{Secret: "none"}, nil},
		} {
			t.Run(tt.name, func(t *testing.T) {
				records, err := db.Audit().Read(t.Context(), tt.q)
				must(t, err)
				var got []int64
				for _, r := range records {
					got = append(got, r.Seq)
					if diff := cmp.Diff(entryNo(int(r.Seq)), r.Entry); diff != "" {
						t.Errorf("entry %d (-want +got):\n%s", r.Seq, diff)
					}
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("numbers (-want +got):\n%s", diff)
				}
			})
		}
	})
}

func TestVerifyReturnsTheEndOfTheChain(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		got, err := db.Audit().Verify(t.Context())
		must(t, err)
		if diff := cmp.Diff(VerifyResult{Head: strings.Repeat("0", 64)}, got); diff != "" {
			t.Errorf("an empty chain (-want +got):\n%s", diff)
		}
		note(t, db, 3)
		must(t, db.Audit().Record(t.Context()))
		records, err := db.Audit().Read(t.Context(), AuditQuery{})
		must(t, err)
		got, err = db.Audit().Verify(t.Context())
		must(t, err)
		if diff := cmp.Diff(VerifyResult{Entries: 3, Head: records[2].Hash}, got); diff != "" {
			t.Errorf("three entries (-want +got):\n%s", diff)
		}
	})
}

func TestTheDatabaseRefusesToChangeTheAudit(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		note(t, db, 3)
		for _, query := range []string{
			`UPDATE audit SET entry = '{}' WHERE seq = 2`,
			`DELETE FROM audit WHERE seq = 3`,
			`INSERT INTO audit (seq, entry, hash) VALUES (7, '{}', x'00')`,
			`INSERT OR REPLACE INTO audit (seq, entry, hash) VALUES (2, '{}', x'00')`,
		} {
			err := db.writer.do(t.Context(), "", func(tx *tx) error { _, err := tx.exec(inWordsOf(db, query)); return err })
			if err == nil || !contains(hint.Text(err), "the audit is append-only") {
				t.Errorf("%s: %v, want a refusal", query, err)
			}
		}
		_, err := db.Audit().Verify(t.Context())
		must(t, err)
	})
}

// tamper runs statements as someone with the database file but without the key
// could.
func tamper(t testing.TB, db *DB, statements ...string) {
	t.Helper()
	must(t, db.writer.do(t.Context(), "", func(tx *tx) error {
		for _, s := range statements {
			if _, err := tx.exec(inWordsOf(db, s)); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestVerifyFindsTampering(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		for _, tt := range []struct {
			name string
			do   []string
			want int64
		}{
			{"a changed entry", []string{`UPDATE audit SET entry = replace(entry, 'v4', 'v9') WHERE seq = 4`}, 4},
			{"a changed hash", []string{`UPDATE audit SET hash = zeroblob(32) WHERE seq = 4`}, 4},
			{"a removed entry", []string{`DELETE FROM audit WHERE seq = 4`}, 4},
			{"the first entry removed", []string{`DELETE FROM audit WHERE seq = 1`}, 1},
			{"a removed entry with the rest moved up", []string{`DELETE FROM audit WHERE seq = 4`,
				`UPDATE audit SET seq = 4 WHERE seq = 5`, `UPDATE audit SET seq = 5 WHERE seq = 6`}, 4},
			{"two entries swapped", []string{`UPDATE audit SET seq = -3 WHERE seq = 3`, `UPDATE audit SET seq = 3 WHERE seq = 4`,
				`UPDATE audit SET seq = 4 WHERE seq = -3`}, 3},
			{"the end cut off", []string{`DELETE FROM audit WHERE seq > 4`}, 5},
			{"the end cut off and its record adjusted", []string{`DELETE FROM audit WHERE seq > 4`,
				`UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)`}, 5},
			{"everything removed", []string{`DELETE FROM audit`}, 1},
			{"everything removed and its record too", []string{`DELETE FROM audit`, `DELETE FROM audit_head`}, 1},
			{"an entry added behind the end", []string{`INSERT INTO audit (seq, entry, hash) SELECT 7, entry, hash FROM audit WHERE seq = 6`}, 7},
			{"the record of the end changed", []string{`UPDATE audit_head SET mac = zeroblob(length(mac))`}, 7},
		} {
			t.Run(tt.name, func(t *testing.T) {
				db := openAt(t, newDir(t), nil)
				note(t, db, 6)
				tamper(t, db, append([]string{`DROP TRIGGER audit_no_update`, `DROP TRIGGER audit_no_delete`, `DROP TRIGGER audit_in_order`}, tt.do...)...)
				_, err := db.Audit().Verify(t.Context())
				found, ok := errors.AsType[*TamperError](err)
				if !ok {
					t.Fatalf("verify: %v, want tampering at %d", err, tt.want)
				}
				if found.Seq != tt.want {
					t.Errorf("found at %d: %v, want at %d", found.Seq, err, tt.want)
				}
				if !contains(hint.Text(err), fmt.Sprint(tt.want)) {
					t.Errorf("%q does not say where", err)
				}
			})
		}
	})
}

func TestAForgedContinuationIsDetected(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		note(t, db, 3)
		// A forger who computes the hashes correctly still lacks the seal's
		// key.
		must(t, db.writer.do(t.Context(), "", func(tx *tx) error {
			h, _, err := tx.readEnd()
			if err != nil {
				return err
			}
			forged := h.next([]byte(`{}`))
			if _, err := tx.exec(sqlInsertAudit+`($1, $2, $3)`, forged.seq, `{}`, forged.hash[:]); err != nil {
				return err
			}
			_, err = tx.exec(sqlUpdateHead, forged.seq, forged.hash[:], make([]byte, 37))
			return err
		}))
		_, err := db.Audit().Verify(t.Context())
		if found, ok := errors.AsType[*TamperError](err); !ok || !contains(found.Reason, "seal") {
			t.Errorf("verify: %v, want a wrong seal", err)
		}
	})
}

func TestValuesDecryptOnlyInTheirOwnVersion(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		for _, tt := range []struct {
			name string
			do   string
		}{
			{"swapped between versions", `UPDATE versions SET value = (SELECT value FROM versions WHERE secret = 's' AND id = 'v2') WHERE secret = 's' AND id = 'v1'`},
			{"taken from another secret", `UPDATE versions SET value = (SELECT value FROM versions WHERE secret = 'other' AND id = 'v1') WHERE secret = 's' AND id = 'v1'`},
			{"changed", `UPDATE versions SET value = CAST(substr(value, 1, 20) || x'0102' || substr(value, 23) AS BLOB) WHERE secret = 's' AND id = 'v1'`},
			{"with another secret's data key", `UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE id = 'secret/other') WHERE id = 'secret/s'`},
			{"without its data key", `DELETE FROM data_keys WHERE id = 'secret/s'`},
		} {
			t.Run(tt.name, func(t *testing.T) {
				dir := newDir(t)
				db := openAt(t, dir, nil)
				for _, name := range []string{"s", "other"} {
					for id, l := range map[string]rota.Label{"v1": rota.LabelCurrent, "v2": rota.LabelPending} {
						must(t, db.Secret(name).Put(t.Context(), rota.PutRequest{Version: id, Credential: credential(name + id), Labels: []rota.Label{l}}))
					}
				}
				tamper(t, db, tt.do)
				s := openAt(t, dir, nil).Secret("s")
				if contains(tt.name, "data key") {
					if err := s.Put(t.Context(), rota.PutRequest{Version: "v3", Credential: credential("x"), Labels: []rota.Label{rota.LabelPending}}); err == nil {
						t.Error("another version was put over it")
					}
				}
				c, err := s.Get(t.Context(), rota.GetRequest{Version: "v1"})
				if err == nil {
					t.Errorf("got %v, want an error", c)
				}
				if err != nil && contains(hint.Text(err), "sv1") {
					t.Errorf("%q holds a value", err)
				}
			})
		}
	})
}

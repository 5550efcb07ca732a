package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/internal/store/record/recordtest"
	"github.com/rota-dev/rota/rotation"
)

func TestRecordsSuite(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		recordtest.Run(t, func(t *testing.T) recordtest.Fixture { return recordsFixture(t, newDir(t)) })
	})
}

func recordsFixture(t *testing.T, dir string) recordtest.Fixture {
	t.Helper()
	c := &clock{at: recordtest.Start}
	db := openAt(t, dir, c.now)
	return recordtest.Fixture{
		Records: db.Records(),
		Entries: func(secret string) (entries []rotation.Entry) {
			found, err := db.Audit().Read(t.Context(), AuditQuery{Secret: secret})
			must(t, err)
			for _, r := range found {
				entries = append(entries, r.Entry)
			}
			return entries
		},
		Advance: c.advance,
	}
}

// put gives a secret one current version of a text.
func putText(t testing.TB, db *DB, name, version, text string) {
	t.Helper()
	must(t, db.Records().Update(t.Context(), name, func(c *record.Change) error {
		for i := range c.Versions {
			c.Versions[i].Labels = nil
		}
		c.Versions = append(c.Versions, record.Version{ID: version, CreatedAt: c.Now, Labels: []string{"AWSCURRENT"}})
		c.Put(version, record.Value{Text: &text})
		return nil
	}))
}

func TestACredentialIsTheJSONOfItsFields(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		must(t, db.Secret("a").Put(t.Context(), rota.PutRequest{Version: "v1", Credential: credential("p<&>"), Labels: []rota.Label{rota.LabelCurrent}}))
		v, err := db.Records().Value(t.Context(), "a", "v1")
		must(t, err)
		if want := `{"password":"p\u003c\u0026\u003e","username":"app"}`; *v.Text != want {
			t.Errorf("text %s, want %s", *v.Text, want)
		}
		r, err := db.Records().View(t.Context(), "a")
		must(t, err)
		if len(r.Suffix) != 6 || r.CreatedAt.IsZero() || !r.CreatedAt.Equal(r.ChangedAt) {
			t.Errorf("record %+v", r)
		}

		putText(t, db, "a", "v2", ` {"username": "app", "password": "other"} `)
		c, err := db.Secret("a").Get(t.Context(), rota.GetRequest{Version: "v2"})
		must(t, err)
		if !c.Equal(credential("other")) {
			t.Error("the text is another credential")
		}
		must(t, db.Secret("a").Put(t.Context(), rota.PutRequest{Version: "v2", Credential: credential("other"), Labels: []rota.Label{rota.LabelCurrent}}))
		err = db.Secret("a").Put(t.Context(), rota.PutRequest{Version: "v2", Credential: credential("third"), Labels: []rota.Label{rota.LabelCurrent}})
		if !errors.Is(err, rota.ErrConflict) {
			t.Errorf("another credential for the same version: %v", err)
		}
		for _, text := range []string{"plain", `{"port": 1}`, `[]`, `{}`} {
			putText(t, db, "b"+text, "v", text)
			if _, err := db.Secret("b"+text).Get(t.Context(), rota.GetRequest{Version: "v"}); err == nil {
				t.Errorf("%s is a credential", text)
			}
		}
	})
}

func TestRotaFillsAnAnnouncedVersion(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		must(t, db.Records().Update(t.Context(), "a", func(c *record.Change) error {
			c.Versions = []record.Version{{ID: "v", CreatedAt: c.Now, Labels: []string{"AWSPENDING"}}}
			return nil
		}))
		if _, err := db.Secret("a").Get(t.Context(), rota.GetRequest{Version: "v"}); !errors.Is(err, rota.ErrNotFound) {
			t.Errorf("a version without a value: %v", err)
		}
		must(t, db.Secret("a").Put(t.Context(), rota.PutRequest{Version: "v", Credential: credential("x"), Labels: []rota.Label{rota.LabelPending}}))
		c, err := db.Secret("a").Get(t.Context(), rota.GetRequest{Version: "v"})
		must(t, err)
		if !c.Equal(credential("x")) {
			t.Error("it has another value")
		}
	})
}

func TestRecordsOutliveTheProcess(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		db := openAt(t, dir, nil)
		putText(t, db, "a", "v", "hush")
		must(t, db.RotateMasterKey(t.Context(), nil))
		must(t, db.Close())
		v, err := openAt(t, dir, nil).Records().Value(t.Context(), "a", "v")
		must(t, err)
		if *v.Text != "hush" {
			t.Error("it has another value")
		}
	})
}

func TestAValueOpensInItsOwnVersionOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		putText(t, db, "a", "v1", "first")
		putText(t, db, "a", "v2", "second")
		must(t, db.writer.do(t.Context(), "", func(t *tx) error {
			_, err := t.exec(`UPDATE versions SET value = (SELECT value FROM versions WHERE id = 'v1') WHERE id = 'v2'`)
			return err
		}))
		if _, err := db.Records().Value(t.Context(), "a", "v2"); !errors.Is(err, errTampered) {
			t.Errorf("error %v, want %v", err, errTampered)
		}
	})
}

func TestAReadWritesTheDayOnce(t *testing.T) {
	c := newClock()
	db := openAt(t, newDir(t), c.now)
	putText(t, db, "a", "v", "x")
	changes := func() (n int) {
		must(t, db.reader.QueryRowContext(t.Context(), `PRAGMA data_version`).Scan(&n))
		return n
	}
	read := func() {
		t.Helper()
		_, err := db.Records().Value(t.Context(), "a", "v")
		must(t, err)
	}
	db.reader.SetMaxOpenConns(1) // the number is each connection's own
	before := changes()
	read()
	first := changes()
	for range 10 {
		c.advance(time.Minute)
		read()
	}
	if first == before || changes() != first {
		t.Errorf("the database changed from %d to %d at the first reading and to %d after the others", before, first, changes())
	}
}

func BenchmarkReadRecord(b *testing.B) {
	db := openAt(b, newDir(b), nil)
	putText(b, db, "a", "v", `{"username":"app","password":"hush"}`)
	entry := rotation.Entry{Actor: "me", Secret: "a", Step: "get", Outcome: rotation.OutcomeSucceeded}
	b.ReportAllocs()
	b.SetParallelism(50) // concurrent requests share commits
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := db.Records().View(b.Context(), "a"); err != nil {
				b.Error(err)
			}
			if _, err := db.Records().Value(b.Context(), "a", "v", entry); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestRecordsAreListedByIndex(t *testing.T) {
	db := openAt(t, newDir(t), nil)
	for _, test := range []struct {
		by   record.Order
		want string
	}{
		{record.ByName, "SEARCH s USING INDEX sqlite_autoindex_secrets_1 (name"},
		{record.ByCreation, "SEARCH s USING INDEX secrets_created ((created_at,name)"},
		{record.ByChange, "SEARCH s USING INDEX secrets_changed ((changed_at,name)"},
		{record.ByAccess, "SEARCH s USING INDEX secrets_accessed ((accessed_at,name)"},
	} {
		for _, descending := range []bool{false, true} {
			query := sqlRecords(record.Page{By: test.by, Descending: descending})
			if plan := plan(t, db, query, 1, "a", 1, 10); !strings.Contains(plan, test.want) || strings.Contains(plan, "TEMP B-TREE FOR ORDER BY") {
				t.Errorf("order %v, descending %v:\n%s", test.by, descending, plan)
			}
		}
	}
	if plan := plan(t, db, sqlDueRecords, 1, 10); !strings.Contains(plan, "USING COVERING INDEX secrets_due") {
		t.Errorf("due:\n%s", plan)
	}
}

// plan is how SQLite executes a query.
func plan(t *testing.T, db *DB, query string, args ...any) string {
	t.Helper()
	rows, err := db.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	must(t, err)
	defer func() { must(t, rows.Close()) }()
	var out strings.Builder
	for rows.Next() {
		var a, b, c int
		var step string
		must(t, rows.Scan(&a, &b, &c, &step))
		out.WriteString(step + "\n")
	}
	must(t, rows.Err())
	return out.String()
}

func TestSecretsOfAnOlderDatabaseGetARecord(t *testing.T) {
	dir := newDir(t)
	must(t, os.MkdirAll(dir, 0o700))
	path := filepath.Join(dir, databaseFile)
	must(t, os.WriteFile(path, nil, 0o600))
	pool, err := openSQLite(path, 1, "journal_mode(WAL)")
	must(t, err)
	files, err := fs.Sub(migrations, "migrations/sqlite")
	must(t, err)
	provider, err := goose.NewProvider(goose.DialectSQLite3, pool, files, goose.WithDisableGlobalRegistry(true))
	must(t, err)
	_, err = provider.UpTo(t.Context(), 2)
	must(t, err)
	changed := recordtest.Start
	_, err = pool.ExecContext(t.Context(), `INSERT INTO secrets (name, changed_at) VALUES ('a', $1), ('b', $1)`, micros(changed))
	must(t, err)
	must(t, pool.Close())

	db := openAt(t, dir, nil)
	found, err := db.Records().List(t.Context(), record.Page{Limit: 10})
	must(t, err)
	if len(found) != 2 || len(found[0].Suffix) != 6 || found[0].Suffix == found[1].Suffix || !found[0].CreatedAt.Equal(changed) {
		t.Errorf("records %+v", found)
	}
}

func TestChangesByOthersAreDueImmediately(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		c := newClock()
		tomorrow := c.now().Add(24 * time.Hour)
		for _, test := range []struct {
			name   string
			change func(*record.Change)
			want   []string
		}{
			{"another current version", func(c *record.Change) {
				c.Versions[0].Labels = []string{"AWSPREVIOUS"}
				c.Versions = append(c.Versions, record.Version{ID: "foreign", CreatedAt: c.Now, Labels: []string{"AWSCURRENT"}})
			}, []string{"a"}},
			{"a pending version", func(c *record.Change) { c.Versions[0].Labels = append(c.Versions[0].Labels, "AWSPENDING") }, []string{"a"}},
			{"a deletion", func(c *record.Change) { c.DeletedAt, c.DeleteAt = c.Now, tomorrow }, []string{"a"}},
			{"a label of their own", func(c *record.Change) { c.Versions[0].Labels = append(c.Versions[0].Labels, "BLUE") }, nil},
			{"a description", func(c *record.Change) { c.Description = "of theirs" }, nil},
		} {
			for _, turn := range []string{"no turn", "a turn in hand"} {
				t.Run(test.name+", "+turn, func(t *testing.T) {
					db := openAt(t, newDir(t), c.now)
					enroll(t, db, "a")
					putText(t, db, "a", "v1", "x")
					keep(t, db, "a", rotation.Progress{NextAt: tomorrow})
					end := func() {}
					if turn != "no turn" {
						l := acquire(t, db, "a", "w")
						end = func() {
							must(t, db.Journal().Save(t.Context(), rotation.SaveRequest{Lease: l, Progress: rotation.Progress{NextAt: tomorrow}, Release: true}))
						}
					}
					must(t, db.Records().Update(t.Context(), "a", func(c *record.Change) error {
						test.change(c)
						return nil
					}))
					end()
					if diff := cmp.Diff(test.want, due(t, db, c.now(), 10)); diff != "" {
						t.Error(diff)
					}
					keep(t, db, "a", rotation.Progress{NextAt: tomorrow})
					if got := due(t, db, c.now(), 10); len(got) > 0 {
						t.Errorf("once it was looked at, %v are due", got)
					}
				})
			}
		}
	})
}

func TestStatusesOfSomeSecrets(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		db := openAt(t, newDir(t), nil)
		enroll(t, db, "a", "b", `quo"ted`)
		for _, name := range []string{"a", "b", `quo"ted`, "not enrolled"} {
			keep(t, db, name, rotation.Progress{Status: rotation.Status{Version: "of " + name}})
		}
		got, err := db.Overview().StatusesOf(t.Context(), []string{"a", `quo"ted`, "not enrolled", "unheard of"})
		must(t, err)
		want := map[string]rotation.Status{"a": {Version: "of a"}, `quo"ted`: {Version: `of quo"ted`}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

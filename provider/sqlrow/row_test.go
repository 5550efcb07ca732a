package sqlrow

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider"
)

// script is a session whose answers are given, the last one for good.
type script struct {
	reads   [][]map[string]*string
	changed int64
	err     error    // of statements, and of queries once the reads are used up
	once    bool     // the last of the reads is for once
	ran     []string // statements and their values
}

func (s *script) Query(_ context.Context, sql string, args []string) ([]map[string]*string, error) {
	s.ran = append(s.ran, sql+" "+strings.Join(args, ","))
	if len(s.reads) == 0 {
		return nil, s.err
	}
	now := s.reads[0]
	if len(s.reads) > 1 || s.once {
		s.reads = s.reads[1:]
	}
	return now, nil
}

func (s *script) Exec(_ context.Context, sql string, args []string) (int64, error) {
	s.ran = append(s.ran, sql+" "+strings.Join(args, ","))
	if s.once {
		return s.changed, nil
	}
	return s.changed, s.err
}

// rows are rows with one column, a.
func rows(values ...string) (all []map[string]*string) {
	for _, v := range values {
		all = append(all, map[string]*string{"a": &v})
	}
	return all
}

func TestARowIsDelivered(t *testing.T) {
	const (
		update = "UPDATE s.t SET a = :a WHERE n = 1"
		upsert = "INSERT INTO t (a) VALUES (:a) ON DUPLICATE KEY UPDATE a = :a"
		read   = "SELECT a FROM s.t WHERE n = 1"
	)
	broken := errors.New("broken")
	null := []map[string]*string{{"a": nil}}
	for _, test := range []struct {
		name        string
		write, read string
		session     script
		document    bool
		value       string // defaults to new
		runs        int
		want        string // "" for success
	}{
		{name: "written without a look", write: update, session: script{changed: 1}, runs: 1},
		{name: "no row", write: update, session: script{}, runs: 1, want: "it would have changed no row"},
		{name: "two rows", write: update, session: script{changed: 2}, runs: 1, want: "it would have changed 2 rows"},
		{name: "an upsert that updates counts twice", write: upsert, session: script{changed: 2}, runs: 1},
		{name: "an upsert that keeps history counts three times", write: upsert, session: script{changed: 3}, runs: 1},
		{name: "an upsert of several rows", write: upsert, session: script{changed: 4}, runs: 1, want: "it would have changed 4 rows"},
		{name: "the statement fails", write: update, session: script{changed: 1, err: broken}, runs: 1, want: "broken"},
		{name: "read fails", write: update, read: read, session: script{changed: 1, err: broken}, runs: 1, want: "broken"},
		{name: "there already", write: update, read: read, session: script{reads: [][]map[string]*string{rows("new")}}, runs: 1},
		{name: "another value before", write: update, read: read, session: script{changed: 1, reads: [][]map[string]*string{rows("old"), rows("new")}}, runs: 3},
		{name: "NULL before", write: update, read: read, session: script{changed: 1, reads: [][]map[string]*string{null, rows("new")}}, runs: 3},
		{name: "no row before", write: update, read: read, session: script{changed: 1, reads: [][]map[string]*string{nil, rows("new")}}, runs: 3},
		{name: "not there afterwards", write: update, read: read, session: script{changed: 1, reads: [][]map[string]*string{rows("old")}}, runs: 3, want: "read doesn't show what the statement wrote"},
		{name: "still no row afterwards", write: update, read: read, session: script{changed: 1, reads: [][]map[string]*string{nil}}, runs: 3, want: "read doesn't show"},
		{name: "read fails afterwards", write: update, read: read, session: script{changed: 1, err: broken, once: true, reads: [][]map[string]*string{rows("old")}}, runs: 3, want: "broken"},
		{name: "several rows", write: update, read: read, session: script{changed: 1, reads: [][]map[string]*string{rows("new", "new")}}, runs: 1, want: "it returns 2 rows"},
		{name: "a column of another name", write: update, read: read, session: script{changed: 1, reads: [][]map[string]*string{{{"b": nil}}}}, runs: 1, want: `its column "b" is none`},
		{name: "a document that's spelled differently", write: update, read: read, document: true, session: script{reads: [][]map[string]*string{rows(` {"a" : "new"}`)}}, runs: 1},
		{name: "another document", write: update, read: read, document: true, session: script{changed: 1, reads: [][]map[string]*string{rows(`{"a": "old"}`), rows(`{"a":"new"}`)}}, runs: 3},
		{name: "a document that's no JSON", write: update, read: read, document: true, session: script{changed: 1, reads: [][]map[string]*string{rows(`{`), rows(`{"a":"new"}`)}}, runs: 3},
		{name: "a number that's spelled differently is another value", write: update, read: read, value: "1", session: script{changed: 1, reads: [][]map[string]*string{rows("1.0"), rows("1")}}, runs: 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := Postgres
			if test.write == upsert {
				d = MySQL
			}
			r := &Row{Write: must(ParseWrite(d, test.write))}
			if test.read != "" {
				r.Read = must(ParseRead(d, test.read))
			}
			if test.document {
				r.Document, r.Format = "a", provider.DocumentJSON
			}
			values := must(r.Values(rota.NewCredential(map[string]string{"a": cmp.Or(test.value, "new")})))
			err := r.Deliver(t.Context(), &test.session, values)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if len(test.session.ran) != test.runs {
				t.Errorf("ran %q, want %d", test.session.ran, test.runs)
			}
			if last := test.session.ran[len(test.session.ran)-1]; test.read == "" && !strings.HasSuffix(last, " new") && !strings.HasSuffix(last, " new,new") {
				t.Errorf("ran %q without the value", last)
			}
		})
	}
}

func TestHowManyRowsWouldHaveChanged(t *testing.T) {
	for rows, want := range map[int64]string{0: "insert the row", 2: "only one row"} {
		if got := rota.Hint((&CountError{rows}).Remedies()); !strings.Contains(got, want) {
			t.Errorf("%d rows: %s", rows, got)
		}
	}
}

func TestWhatReadHasToShow(t *testing.T) {
	r := &Row{Write: must(ParseWrite(Postgres, "UPDATE s.t SET a = :a, b = :b WHERE n = 1")), Read: must(ParseRead(Postgres, "SELECT a FROM s.t WHERE n = 1"))}
	hashed := &Row{Write: r.Write, Read: must(ParseRead(Postgres, "SELECT a FROM s.t WHERE b = md5(:b)"))}
	both := &Row{Write: r.Write, Read: must(ParseRead(Postgres, "SELECT 1 FROM s.t WHERE b = :b AND a = :a"))}
	for _, test := range []struct {
		row     *Row
		columns string
		want    string
	}{
		{r, "b a", ""}, {r, "a", `no column "b"`}, {r, "a b c", `column "c" is none of the statement's parameters, which are a, b`},
		{r, "d c", `column "c"`}, {hashed, "a", ""}, {hashed, "b", `no column "a"`}, {both, "", "it has no column"},
	} {
		err := test.row.Shows(strings.Fields(test.columns))
		if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || !errors.Is(err, ErrRead)) {
			t.Errorf("%s: %v, want %q", test.columns, err, test.want)
		}
	}
}

func TestValuesComeFromFieldsTemplatesAndTheDocument(t *testing.T) {
	r := &Row{
		Write:  must(ParseWrite(Postgres, "UPDATE s.t SET a = :dsn, b = :doc WHERE n = 1")),
		Fields: must(rota.ParseFieldMap(map[string]string{"dsn": "{username}:{password|url}"}, nil)), Document: "doc",
	}
	c := rota.NewCredential(map[string]string{"username": "u", "password": "p/w"})
	values := must(r.Values(c))
	if values["dsn"] != "u:p%2Fw" || values["doc"] != `{"password":"p/w","username":"u"}` || len(values) != 2 {
		t.Errorf("got %d values", len(values))
	}
	if err := r.Accept(c); err != nil {
		t.Error(err)
	}
	if _, err := r.Values(c.Only("username")); err == nil || !strings.Contains(err.Error(), `no field "password"`) {
		t.Errorf("without a field of a template: %v", err)
	}
	r.Format = provider.DocumentDotenv
	if err := r.Accept(rota.NewCredential(map[string]string{"username": "u", "password": "it's"})); err == nil || !strings.Contains(err.Error(), "dotenv") {
		t.Errorf("a document that can't be written: %v", err)
	}
	own := &Row{Write: must(ParseWrite(Postgres, "UPDATE s.t SET a = :password WHERE n = 1"))}
	if err := own.Accept(c.Only("username")); err == nil || !strings.Contains(hint.Text(err), ":password: the credential has no field of that name, only username") {
		t.Errorf("without a field: %v", err)
	}
	if values := must(own.Values(c)); len(values) != 2 {
		t.Errorf("%d values of two fields", len(values))
	}
	for _, bad := range []string{"a\x00b", "a\xffb"} {
		if err := own.Accept(rota.NewCredential(map[string]string{"password": bad})); err == nil || strings.Contains(err.Error(), "b:") {
			t.Errorf("%q: %v", bad, err)
		}
		// What the statement doesn't use is no problem.
		if err := own.Accept(rota.NewCredential(map[string]string{"password": "x", "other": bad})); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(own.Write.Parameters, []string{"password"}) {
		t.Error(own.Write.Parameters)
	}
}

// Only what a column gets as it is has to fit it: anything else may cut it short on
// purpose.
func TestWhichValuesHaveToFit(t *testing.T) {
	for statement, want := range map[string]bool{
		"UPDATE public.t SET a = :a WHERE k = 1":                                                       true,
		"UPDATE public.t SET b = 'x', a = :a, c = 1 WHERE k = 1":                                       true,
		"UPDATE public.t SET a = :a::varchar(3) WHERE k = 1":                                           false,
		"UPDATE public.t SET a = :a || 'x' WHERE k = 1":                                                false,
		"UPDATE public.t SET a = left(:a, 3) WHERE k = 1":                                              false,
		"UPDATE public.t SET (a, b) = (:a, 'x') WHERE k = 1":                                           false,
		"UPDATE public.t SET b = :a WHERE k = 1":                                                       false,
		"INSERT INTO public.t (k, a) VALUES (1, :a) ON CONFLICT (k) DO UPDATE SET a = excluded.a":      true,
		"INSERT INTO public.t (k, a) VALUES (1, md5(:a)) ON CONFLICT (k) DO UPDATE SET a = excluded.a": false,
		"INSERT INTO public.t (a) SELECT :a ON CONFLICT (a) DO UPDATE SET a = excluded.a":              false,
	} {
		r := &Row{Write: must(ParseWrite(Postgres, statement))}
		c := rota.NewCredential(map[string]string{"a": "värde"})
		for most, fits := range map[int]bool{5: true, 4: !want} {
			r.SetWidths(map[string]Width{"a": {Most: most}})
			if err := r.Fit(c); (err == nil) != fits {
				t.Errorf("%s, in %d characters: %v", statement, most, err)
			}
		}
		r.SetWidths(map[string]Width{"a": {Most: 5, Bytes: true}})
		if err := r.Fit(c); (err != nil) != want {
			t.Errorf("%s, in 5 bytes: %v", statement, err)
		}
	}
}

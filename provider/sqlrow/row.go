package sqlrow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Row says how a credential is written into a row.
type Row struct {
	Write *Write
	Read  *Read // nil if nothing shows what's there
	// Fields are the parameters and what each gets. The zero map stands for the
	// credential's own fields.
	Fields rota.FieldMap
	// Document is the parameter that gets the whole credential, "" for none.
	Document string
	Format   provider.DocumentFormat

	mu     sync.Mutex
	widths map[string]Width
}

// Width is how much a column takes: so many characters, or bytes.
type Width struct {
	Most  int
	Bytes bool
}

// SetWidths remembers how much columns take, for Fit.
func (r *Row) SetWidths(widths map[string]Width) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.widths = map[string]Width{}
	for column, width := range widths {
		r.widths[r.Write.column(column)] = width
	}
}

// Fit returns why the first of a credential's values is too long for its column, as
// the columns were at SetWidths, or nil. Otherwise that would only show when it's
// written, which is after the old password has ended.
func (r *Row) Fit(c rota.Credential) error {
	values, err := r.Values(c)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, column := range slices.Sorted(maps.Keys(r.Write.direct)) {
		name := r.Write.direct[column]
		width, known := r.widths[column]
		n, unit := utf8.RuneCountInString(values[name]), "characters"
		if width.Bytes {
			n, unit = len(values[name]), "bytes"
		}
		if known && n > width.Most {
			return rota.WithRemedies(fmt.Errorf(":%s: the value has %d %s, and the column %s of %s takes %d", name, n, unit, column, r.Write.Table, width.Most),
				rota.Outside("a longer column, or a shorter length for the password in rota.yaml"))
		}
	}
	return nil
}

// Values are the parameters' values.
func (r *Row) Values(c rota.Credential) (map[string]string, error) {
	values, err := r.Fields.Render(c)
	if err != nil {
		return nil, err
	}
	if r.Document != "" {
		if values[r.Document], err = r.Format.Render(c); err != nil {
			return nil, err
		}
	}
	for _, name := range r.Write.Parameters {
		if _, ok := values[name]; !ok {
			return nil, fmt.Errorf(":%s: the credential has no field of that name, only %s", name, strings.Join(c.Names(), ", "))
		}
	}
	return values, nil
}

// Accept returns why a credential's values can't be in a SQL text, or nil.
func (r *Row) Accept(c rota.Credential) error {
	values, err := r.Values(c)
	if err != nil {
		return err
	}
	for _, name := range r.Write.Parameters {
		switch value := values[name]; {
		case strings.ContainsRune(value, 0):
			return fmt.Errorf(":%s: the value has a zero byte, which a SQL text can't hold", name)
		case !utf8.ValidString(value):
			return fmt.Errorf(":%s: the value isn't UTF-8, which a SQL text has to be", name)
		}
	}
	return nil
}

// Session runs a statement in a transaction.
type Session interface {
	// Query returns the rows that a query finds, by the names of its columns. NULL
	// is nil.
	Query(ctx context.Context, sql string, args []string) ([]map[string]*string, error)
	// Exec runs a statement and returns how many rows it changed, including those
	// that had the same values before.
	Exec(ctx context.Context, sql string, args []string) (int64, error)
}

// CountError is a statement that would have changed more or less than one row.
type CountError struct{ Rows int64 }

func (e *CountError) Error() string {
	if e.Rows == 0 {
		return "it would have changed no row"
	}
	return fmt.Sprintf("it would have changed %d rows, so nothing was changed", e.Rows)
}

// Remedies are what a person can do about it.
func (e *CountError) Remedies() []rota.Remedy {
	if e.Rows == 0 {
		return rota.Outside("insert the row, or correct the statement's condition")
	}
	return rota.Outside("a condition that only one row meets")
}

// ErrRead is what read shows, if it doesn't fit the statement.
var ErrRead = errors.New("read doesn't show what the statement wrote")

// Deliver writes the values in the session's transaction, unless they're there
// already. Whatever it returns other than nil has to end in a rollback. After a lost
// answer it can be called again.
func (r *Row) Deliver(ctx context.Context, s Session, values map[string]string) error {
	there, err := r.there(ctx, s, values)
	if err != nil || there {
		return err
	}
	sql, names := r.Write.SQL()
	changed, err := s.Exec(ctx, sql, pick(values, names))
	if err != nil {
		return err
	}
	if r.Write.upserts && (changed == 2 || changed == 3) {
		changed = 1 // it has one row, which counts twice if it's updated, and once more with its history
	}
	if changed != 1 {
		return &CountError{changed}
	}
	if r.Read == nil {
		return nil
	}
	if there, err = r.there(ctx, s, values); err == nil && !there {
		err = ErrRead
	}
	return err
}

func pick(values map[string]string, names []string) []string {
	args := make([]string, len(names))
	for i, name := range names {
		args[i] = values[name]
	}
	return args
}

// there reports whether the row holds the values.
func (r *Row) there(ctx context.Context, s Session, values map[string]string) (bool, error) {
	if r.Read == nil {
		return false, nil
	}
	sql, names := r.Read.SQL()
	rows, err := s.Query(ctx, sql, pick(values, names))
	if err != nil {
		return false, err
	}
	if len(rows) > 1 {
		return false, fmt.Errorf("%w: it returns %d rows", ErrRead, len(rows))
	}
	if len(rows) == 0 {
		return false, nil
	}
	if err := r.Shows(slices.Collect(maps.Keys(rows[0]))); err != nil {
		return false, err
	}
	for column, got := range rows[0] {
		if want := values[column]; got == nil || *got != want && (column != r.Document || !sameJSON(*got, want)) {
			return false, nil
		}
	}
	return true, nil
}

// Shows returns why the columns of read don't show whether a row holds all of a
// credential, or nil if they do: each parameter of the statement has to be a column,
// or a parameter of read itself.
func (r *Row) Shows(columns []string) error {
	slices.Sort(columns)
	for _, column := range columns {
		if !slices.Contains(r.Write.Parameters, column) {
			return fmt.Errorf("%w: its column %q is none of the statement's parameters, which are %s", ErrRead, column, strings.Join(r.Write.Parameters, ", "))
		}
	}
	for _, name := range r.Write.Parameters {
		if !slices.Contains(columns, name) && !slices.Contains(r.Read.Parameters, name) {
			return fmt.Errorf("%w: it has no column %q", ErrRead, name)
		}
	}
	if len(columns) == 0 {
		return fmt.Errorf("%w: it has no column", ErrRead)
	}
	return nil
}

// sameJSON reports whether two texts are the same in JSON: servers write a document
// in their own way.
func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

package sqlrow

import (
	"slices"
	"strings"
)

// Write is the statement that puts a credential into a row.
type Write struct {
	*Statement
	// Verb is UPDATE, INSERT or MERGE.
	Verb string
	// Table is the table that it writes to.
	Table Table
	// Columns are those that it writes, as far as they're evident; nil if not.
	Columns []string
	// Key is the same for statements that evidently write the same row of the same
	// table; "" where that's not evident.
	Key string
	// Where is the condition of an UPDATE without parameters that has no other
	// tables, for looking for the row; "" if there's none.
	Where string
	// Alias is the table's other name in an UPDATE.
	Alias string

	// direct are the columns that get a parameter as it is, with the parameter.
	direct map[string]string
	// sources are the columns that it reads, as far as they're evident; nil if not.
	sources []string
	// repeatable means that the statement can be run again with the same values.
	repeatable bool
	// upserts means that it updates the row that MariaDB and MySQL find a duplicate of.
	upserts bool
}

// ParseWrite parses a statement and refuses what can't put a credential into
// exactly one row.
func ParseWrite(d Dialect, text string) (*Write, error) {
	s, err := parse(d, text)
	if err != nil {
		return nil, err
	}
	w := &Write{Statement: s}
	verb, err := w.verb()
	if err != nil {
		return nil, err
	}
	w.Verb = strings.ToUpper(s.at(verb).text)
	switch w.Verb {
	case "UPDATE":
		err = w.update(verb)
	case "INSERT":
		err = w.insert(verb)
	case "MERGE":
		err = w.merge(verb)
	}
	if err == nil && w.Table.Schema == "" && d == Postgres {
		err = s.refuse(verb+1, "public."+w.Table.Name, "the table %s has no schema, and which one is meant would depend on the session", w.Table.Name)
	}
	if err == nil && len(s.Parameters) == 0 {
		err = s.refuse(0, ":name, with the name of one of the credential's fields", "it has no parameter, so it wouldn't deliver anything")
	}
	if err != nil {
		return nil, err
	}
	return w, nil
}

var verbs = []string{"insert", "update", "delete", "merge", "replace", "select", "values"}

// verb finds what the statement does. Other statements inside it that change rows
// are refused, because nobody counts those rows.
func (w *Write) verb() (int, error) {
	first := 0
	if w.at(0).is("with") {
		first = w.find(1, verbs...)
		for i, t := range w.tokens {
			inside := t.kind == word && slices.Contains([]string{"insert", "update", "delete", "merge"}, t.text)
			if before := w.at(i - 1); inside && t.depth > 0 && (before.isMark("(") || before.isMark(")")) {
				return 0, w.refuse(i, "one UPDATE, INSERT or MERGE", "%s inside WITH changes rows that nobody counts", strings.ToUpper(t.text))
			}
		}
	}
	const hint = "UPDATE … SET … WHERE …, or INSERT … that updates the row if it's there"
	switch t := w.at(first); {
	case t.is("update"), t.is("insert"), t.is("merge") && w.dialect == Postgres:
		return first, nil
	case t.is("delete"):
		if w.find(first, "where") == len(w.tokens) {
			return 0, w.refuse(first, hint, "DELETE without WHERE removes every row")
		}
		return 0, w.refuse(first, hint, "DELETE leaves nothing that consumers could read")
	case t.is("replace"):
		return 0, w.refuse(first, "INSERT … ON DUPLICATE KEY UPDATE", "REPLACE deletes rows, and how many isn't known")
	case t.is("select"), t.is("values"):
		return 0, w.refuse(first, hint, "%s changes no row", strings.ToUpper(t.text))
	default:
		return 0, w.refuse(first, hint, "%s isn't a statement that writes to a row", strings.ToUpper(w.text[t.at:t.end]))
	}
}

// update reads UPDATE table SET columns WHERE condition.
func (w *Write) update(i int) (err error) {
	i++
	for ; w.dialect == MySQL && (w.at(i).is("low_priority") || w.at(i).is("ignore")); i++ {
		if w.at(i).is("ignore") {
			return w.refuse(i, "UPDATE without IGNORE", "IGNORE would cut values short without an error")
		}
	}
	if w.at(i).is("only") {
		i++
	}
	if w.Table, i, err = w.table(i); err != nil {
		return err
	}
	if w.at(i).isMark("*") {
		i++
	}
	if w.at(i).is("as") {
		i++
	}
	if t := w.at(i); t.isName() && !t.is("set") && !isKeyword(t.text) {
		w.Alias = t.text
		i++
	}
	if !w.at(i).is("set") {
		return w.refuse(i, "UPDATE one table SET …; others can be in a subquery of WHERE", "expected SET")
	}
	from, where := w.find(i, "from"), w.find(i, "where")
	if where == len(w.tokens) {
		return w.refuse(i, "WHERE name = 'mail'", "UPDATE without WHERE changes every row")
	}
	end := w.find(where, "returning", "order", "limit")
	if last := w.at(end); last.is("order") || last.is("limit") {
		return w.refuse(end, "a WHERE that only one row has", "with %s, which row changes is up to the server", strings.ToUpper(last.text))
	}
	if end == where+1 {
		return w.refuse(end, "WHERE name = 'mail'", "WHERE without a condition")
	}
	w.repeatable = true
	w.assignments(i+1, min(from, where))
	simple := w.condition(where+1, end)
	if from < len(w.tokens) || w.at(0).is("with") {
		w.sources = nil
		return nil
	}
	if !slices.ContainsFunc(w.tokens[where:end], func(t token) bool { return t.kind == parameter }) {
		w.Where = strings.TrimSpace(w.text[w.at(where).end:w.at(end).at])
	}
	if !simple || w.at(end).is("returning") {
		w.sources = nil
	}
	return nil
}

// insert reads INSERT INTO table (columns) VALUES (values) and what happens if the
// row is there.
func (w *Write) insert(i int) (err error) {
	i++
	for ; w.dialect == MySQL && slices.ContainsFunc([]string{"low_priority", "high_priority", "delayed", "ignore"}, w.at(i).is); i++ {
		if w.at(i).is("ignore") || w.at(i).is("delayed") {
			return w.refuse(i, "INSERT … ON DUPLICATE KEY UPDATE", "%s hides what goes wrong", strings.ToUpper(w.at(i).text))
		}
	}
	if w.at(i).is("into") {
		i++
	}
	if w.Table, i, err = w.table(i); err != nil {
		return err
	}
	if w.at(i).is("as") {
		i += 2
	}
	columns, i := w.names(i)
	values := w.find(i, "values", "value")
	conflict := w.find(i, "on")
	rows := w.tuples(values+1, conflict)
	switch {
	case conflict == len(w.tokens):
	case w.at(conflict + 1).is("conflict"):
		err = w.onConflict(conflict+2, columns, rows)
	case w.at(conflict + 1).is("duplicate"):
		w.repeatable, w.upserts = true, true
		if len(rows) != 1 && w.find(i, "set") > conflict || len(rows) > 1 { // rows of a query, in parentheses or not
			err = w.refuse(conflict, "one row in VALUES", "MariaDB and MySQL don't say how many rows INSERT … ON DUPLICATE KEY UPDATE changed")
		}
	}
	if w.Columns == nil {
		w.Columns = columns
	}
	for n, column := range columns {
		if len(rows) == 1 && len(rows[0]) == len(columns) && len(rows[0][n]) == 1 {
			w.gets(column, rows[0][n][0])
		}
	}
	return err
}

// gets remembers that a column gets a value, if that's a parameter.
func (w *Write) gets(column string, value token) {
	if value.kind != parameter {
		return
	}
	if w.direct == nil {
		w.direct = map[string]string{}
	}
	w.direct[w.column(column)] = value.text
}

// merge reads MERGE INTO table USING … WHEN MATCHED THEN UPDATE ….
func (w *Write) merge(i int) (err error) {
	i++
	if w.at(i).is("into") {
		i++
	}
	if w.at(i).is("only") {
		i++
	}
	if w.Table, i, err = w.table(i); err != nil {
		return err
	}
	for ; i < len(w.tokens); i++ {
		if w.at(i).is("then") && w.at(i+1).is("update") {
			w.repeatable = true
		}
	}
	if !w.repeatable {
		return w.refuse(0, "WHEN MATCHED THEN UPDATE SET …", "MERGE without an UPDATE can't be repeated if the server's answer is lost")
	}
	return nil
}

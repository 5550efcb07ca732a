package sqlrow

import (
	"slices"
	"strings"
)

// names reads (a, b, c), and returns the token after it. Without one, it's nil.
func (s *Statement) names(i int) ([]string, int) {
	if !s.at(i).isMark("(") {
		return nil, i
	}
	var names []string
	for i++; s.at(i).isName(); i++ {
		names = append(names, s.at(i).text)
		if !s.at(i + 1).isMark(",") {
			break
		}
		i++
	}
	if !s.at(i + 1).isMark(")") {
		return nil, i
	}
	return names, i + 2
}

// tuples are the rows of VALUES between two tokens, and each row's values.
func (s *Statement) tuples(from, to int) [][][]token {
	var rows [][][]token
	for i := from; i < min(to, len(s.tokens)); i++ {
		switch t := s.tokens[i]; {
		case t.depth == 0 && t.isMark("("):
			rows = append(rows, [][]token{nil})
		case t.depth == 0 || len(rows) == 0:
		case t.depth == 1 && t.isMark(","):
			rows[len(rows)-1] = append(rows[len(rows)-1], nil)
		default:
			row := rows[len(rows)-1]
			row[len(row)-1] = append(row[len(row)-1], t)
		}
	}
	return rows
}

// onConflict reads what follows ON CONFLICT. If the columns of its index get
// constants, they say which row it is.
func (w *Write) onConflict(i int, columns []string, rows [][][]token) error {
	key, _ := w.names(i)
	do := w.find(i, "do")
	if w.at(do + 1).is("nothing") {
		return w.refuse(do, "DO UPDATE SET …", "DO NOTHING leaves an old credential where it is")
	}
	w.repeatable = true
	if len(key) == 0 || len(rows) != 1 || len(rows[0]) != len(columns) {
		return nil
	}
	var facts []string
	for _, column := range key {
		at := slices.Index(columns, column)
		if at < 0 || len(rows[0][at]) != 1 || !rows[0][at][0].constant() {
			return nil
		}
		facts = append(facts, w.column(column)+" = "+canonical(rows[0][at][0]))
	}
	slices.Sort(facts)
	w.Key = strings.Join(facts, " and ")
	for _, column := range columns {
		if !slices.Contains(key, column) {
			w.Columns = append(w.Columns, column)
		}
	}
	return nil
}

// assignments reads the columns of SET. Where a value reads columns, which ones
// isn't evident.
func (w *Write) assignments(from, to int) {
	w.sources = []string{}
	for i := from; i < to; i++ {
		column := w.at(i)
		if !column.isName() || !w.at(i+1).isMark("=") {
			w.Columns, w.sources = nil, nil
			return
		}
		w.Columns = append(w.Columns, column.text)
		if i+3 == to || w.at(i+3).isMark(",") {
			w.gets(column.text, w.at(i+2))
		}
		for i += 2; i < to && (w.at(i).depth > 0 || !w.at(i).isMark(",")); i++ {
			t := w.at(i)
			reads := t.kind == name || t.kind == word && !slices.Contains([]string{"default", "null", "true", "false"}, t.text) &&
				!w.at(i+1).isMark("(") && !w.at(i-1).isMark("::") && !w.at(i+1).isMark(".")
			if reads {
				w.sources = nil
			}
		}
	}
}

// condition reads a WHERE, and reports whether it only compares columns to values,
// all of which have to be equal. If the values are constants, they say which row it
// is; so does any other condition without parameters, for the same text.
func (w *Write) condition(from, to int) (simple bool) {
	parameters := slices.ContainsFunc(w.tokens[from:to], func(t token) bool { return t.kind == parameter })
	var facts []string
	i := from
	for simple = true; simple && i < to; i++ {
		column := w.at(i)
		if w.at(i+1).isMark(".") && column.isName() { // the table's name or alias
			i += 2
			column = w.at(i)
		}
		value := w.at(i + 2)
		simple = column.isName() && w.at(i+1).isMark("=") && (value.constant() || value.kind == parameter) &&
			(i+3 == to || w.at(i+3).is("and") && i+4 < to)
		facts = append(facts, w.column(column.text)+" = "+canonical(value))
		if w.sources != nil {
			w.sources = append(w.sources, column.text)
		}
		i += 3
	}
	if parameters {
		return simple
	}
	if simple {
		slices.Sort(facts)
		w.Key = strings.Join(facts, " and ")
		return true
	}
	var all []string
	for _, t := range w.tokens[from:to] {
		all = append(all, canonical(t))
	}
	w.Key = strings.Join(all, " ")
	return false
}

// column is a column's name in one spelling: in MariaDB and MySQL, case doesn't count.
func (w *Write) column(name string) string {
	if w.dialect == MySQL {
		return strings.ToLower(name)
	}
	return name
}

func (t token) constant() bool { return t.kind == literal || t.kind == number }

// canonical is the token in one spelling.
func canonical(t token) string {
	if t.kind == literal {
		return "'" + strings.ReplaceAll(t.text, "'", "''") + "'"
	}
	return t.text
}

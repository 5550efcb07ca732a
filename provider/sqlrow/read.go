package sqlrow

import (
	"slices"
	"strings"
)

// Read is the query that shows what a row holds.
type Read struct {
	*Statement
	// Table and Columns are what it reads, if that's evident.
	Table   Table
	Columns []string
}

// ParseRead parses a query and refuses what changes something.
func ParseRead(d Dialect, text string) (*Read, error) {
	s, err := parse(d, text)
	if err != nil {
		return nil, err
	}
	hint := "SELECT secret AS secret_access_key FROM public.api_keys WHERE name = 'mail'"
	if d == MySQL {
		hint = strings.Replace(hint, "public.", "shop.", 1)
	}
	if !s.at(0).is("select") && !s.at(0).is("with") {
		return nil, s.refuse(0, hint, "%s isn't a query", strings.ToUpper(s.text[s.at(0).at:s.at(0).end]))
	}
	for i, t := range s.tokens {
		if t.kind != word {
			continue
		}
		switch t.text {
		case "into":
			return nil, s.refuse(i, hint, "a query that writes what it finds elsewhere")
		case "insert", "update", "delete", "merge":
			if before := s.at(i - 1); t.depth > 0 && before.isMark("(") || t.depth == 0 && before.isMark(")") {
				return nil, s.refuse(i, hint, "a query that changes rows")
			}
		}
	}
	r := &Read{Statement: s}
	r.shape()
	return r, nil
}

// shape finds out what's read, if it's plain columns of one table by conditions on
// others.
func (r *Read) shape() {
	if !r.at(0).is("select") {
		return
	}
	from := r.find(1, "from")
	table, i, err := r.table(from + 1)
	if err != nil {
		return
	}
	r.Table = table
	var columns []string
	for i := 1; i < from; i++ {
		if !r.at(i).isName() {
			return
		}
		columns = append(columns, r.at(i).text)
		if i++; r.at(i).is("as") {
			i += 2
		}
		if i < from && !r.at(i).isMark(",") {
			return
		}
	}
	if !r.at(i).is("where") {
		return
	}
	where := Write{Statement: r.Statement, sources: []string{}}
	if where.condition(i+1, len(r.tokens)) {
		r.Columns = slices.Concat(columns, where.sources)
	}
}

// Privileges are what a login needs on the table: columns to read, and those to
// write. nil columns mean all of them.
type Privileges struct {
	Reads, Writes []string
	// Whole means that which columns are read isn't evident.
	Whole bool
}

// Privileges returns what the statement and the query need on the statement's
// table. A query may be nil.
func (w *Write) Privileges(r *Read) Privileges {
	p := Privileges{Writes: w.Columns, Reads: slices.Clone(w.sources), Whole: w.Verb != "UPDATE" || w.sources == nil}
	if r != nil {
		p.Whole = p.Whole || r.Columns == nil || r.Table != w.Table
		p.Reads = append(p.Reads, r.Columns...)
	}
	slices.Sort(p.Reads)
	p.Reads = slices.Compact(p.Reads)
	if p.Whole {
		p.Reads = nil
	}
	return p
}

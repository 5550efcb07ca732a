package sqlrow

import (
	"slices"
	"strconv"
	"strings"
)

// Statement is a parsed statement with named parameters.
type Statement struct {
	dialect Dialect
	text    string
	tokens  []token
	// Parameters are the names, sorted.
	Parameters []string
}

// keywords are the words that this package looks for. Others keep their case in
// MariaDB and MySQL, where a table's name may depend on it.
var keywords = strings.Fields(`insert into update delete merge replace select with recursive values value set where from
	returning order limit join using on conflict duplicate key do nothing ignore low_priority high_priority delayed
	as only and or not null default row for outfile dumpfile partition when matched then is in like between exists any
	all some case end else overriding constraint true false collate using natural inner left right cross straight_join`)

func isKeyword(text string) bool { return slices.Contains(keywords, strings.ToLower(text)) }

// parse reads a statement, and refuses several of them.
func parse(d Dialect, text string) (*Statement, error) {
	tokens, err := lex(d, text)
	if err != nil {
		return nil, err
	}
	s := &Statement{dialect: d, text: text, tokens: tokens}
	if i := slices.IndexFunc(tokens, func(t token) bool { return t.isMark(";") }); i >= 0 {
		if i < len(tokens)-1 {
			return nil, problem(text, tokens[i+1].at, "one statement", "another statement")
		}
		s.text, s.tokens = text[:tokens[i].at], tokens[:i]
	}
	if len(s.tokens) == 0 {
		return nil, problem(text, 0, "UPDATE … SET secret = :secret_access_key WHERE name = 'mail'", "is empty")
	}
	for _, t := range s.tokens {
		if t.kind == parameter && !slices.Contains(s.Parameters, t.text) {
			s.Parameters = append(s.Parameters, t.text)
		}
	}
	slices.Sort(s.Parameters)
	return s, nil
}

// SQL is the statement as the server gets it: each parameter is numbered, or a
// question mark. names are those of the parameters, in the order of their values.
func (s *Statement) SQL() (sql string, names []string) {
	var b strings.Builder
	from := 0
	for _, t := range s.tokens {
		if t.kind != parameter {
			continue
		}
		names = append(names, t.text)
		b.WriteString(s.text[from:t.at])
		if s.dialect == Postgres {
			// A number for each place: the server finds a type for each by itself.
			b.WriteString("$" + strconv.Itoa(len(names)))
		} else {
			b.WriteByte('?')
		}
		from = t.end
	}
	b.WriteString(s.text[from:])
	return b.String(), names
}

// at is the i-th token, or none.
func (s *Statement) at(i int) token {
	if i < 0 || i >= len(s.tokens) {
		return token{kind: mark, at: len(s.text), end: len(s.text)}
	}
	return s.tokens[i]
}

// find is the first of the words from a token on that's in no parentheses, or the
// number of tokens.
func (s *Statement) find(from int, words ...string) int {
	for i := from; i < len(s.tokens); i++ {
		if t := s.tokens[i]; t.depth == 0 && t.kind == word && slices.Contains(words, t.text) {
			return i
		}
	}
	return len(s.tokens)
}

// refuse is a problem at the i-th token.
func (s *Statement) refuse(i int, hint, format string, args ...any) error {
	return problem(s.text, s.at(i).at, hint, format, args...)
}

// Table is a table's name, with its schema or database where that's given.
type Table struct{ Schema, Name string }

// Quoted is the name as SQL has it.
func (t Table) Quoted(d Dialect) string {
	if t.Schema == "" {
		return Quote(d, t.Name)
	}
	return Quote(d, t.Schema) + "." + Quote(d, t.Name)
}

// String is the name for people.
func (t Table) String() string {
	if t.Schema == "" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}

// Quote is a name in quotes.
func Quote(d Dialect, name string) string {
	q := `"`
	if d == MySQL {
		q = "`"
	}
	return q + strings.ReplaceAll(name, q, q+q) + q
}

// table reads a table's name, and returns the token after it.
func (s *Statement) table(i int) (Table, int, error) {
	if !s.at(i).isName() {
		return Table{}, i, s.refuse(i, "", "expected a table's name")
	}
	parts := []string{s.at(i).text}
	for i++; s.at(i).isMark(".") && s.at(i+1).isName(); i += 2 {
		parts = append(parts, s.at(i+1).text)
	}
	switch len(parts) {
	case 1:
		return Table{Name: parts[0]}, i, nil
	case 2:
		return Table{Schema: parts[0], Name: parts[1]}, i, nil
	}
	return Table{}, i, s.refuse(i, "the schema and the table", "a table's name has too many parts")
}

package sqlrow

import (
	"slices"
	"strings"
)

// Dialect is whose SQL it is.
type Dialect int

// The dialects. Sessions run with standard_conforming_strings in PostgreSQL, and in
// MariaDB and MySQL with NO_BACKSLASH_ESCAPES and without ANSI_QUOTES, so that a
// text ends where this package thinks it does.
const (
	Postgres Dialect = iota
	MySQL
)

// token is a word, a literal or a mark of a statement. Comments are none.
type token struct {
	kind  kind
	text  string // of a word in lower case; of a name or a literal without its quotes
	at    int    // its first byte
	end   int
	depth int // how many parentheses are open around it
}

type kind int

const (
	word      kind = iota // a keyword, or a name without quotes
	name                  // a name in quotes
	literal               // a text
	number                // a number
	parameter             // :name, and text is the name
	mark                  // an operator, a comma, a parenthesis
)

func (t token) is(text string) bool { return t.kind == word && t.text == text }

func (t token) isMark(text string) bool { return t.kind == mark && t.text == text }

// isName reports whether the token can name a table or a column.
func (t token) isName() bool { return t.kind == word || t.kind == name }

// lexer reads a statement's tokens.
type lexer struct {
	dialect Dialect
	text    string
	at      int
	depth   int
	square  []bool // of each bracket that's open, whether it's a subscript, in which a colon is a slice's
	tokens  []token
}

// lex splits a statement into tokens.
func lex(d Dialect, text string) ([]token, error) {
	l := &lexer{dialect: d, text: text}
	for l.at < len(text) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	if l.depth > 0 {
		return nil, problem(text, len(text), "", "a ( without its )")
	}
	return l.tokens, nil
}

func (l *lexer) rest() string { return l.text[l.at:] }

func (l *lexer) has(prefix string) bool { return strings.HasPrefix(l.rest(), prefix) }

// add makes a token of the next n bytes.
func (l *lexer) add(k kind, text string, n int) {
	l.tokens = append(l.tokens, token{kind: k, text: text, at: l.at, end: l.at + n, depth: l.depth})
	l.at += n
}

func (l *lexer) next() error {
	switch c := l.text[l.at]; {
	case c == ' ' || c >= '\t' && c <= '\r':
		l.at++
		return nil
	case l.comment():
		return l.skipComment()
	case c == '\'':
		return l.quoted(literal, 0, false)
	case c == '"' && l.dialect == Postgres:
		return l.quoted(name, 0, false)
	case c == '"':
		return l.quoted(literal, 0, false)
	case c == '`' && l.dialect == MySQL:
		return l.quoted(name, 0, false)
	case c == '$' && l.dialect == Postgres:
		return l.dollar()
	case c == '?' && l.dialect == MySQL:
		return problem(l.text, l.at, ":name, with the name of one of the credential's fields", "a parameter without a name")
	case c == ':':
		l.colon()
		return nil
	case begins(c):
		return l.word()
	case c >= '0' && c <= '9':
		n := 1
		for l.at+n < len(l.text) && (continues(l.text[l.at+n]) || l.text[l.at+n] == '.') {
			n++
		}
		l.add(number, l.rest()[:n], n)
		return nil
	case c == '(':
		l.add(mark, "(", 1)
		l.depth++
		return nil
	case c == ')':
		if l.depth == 0 {
			return problem(l.text, l.at, "", "a ) without its (")
		}
		l.depth--
	case c == '[':
		l.square = append(l.square, l.afterValue())
	case c == ']' && len(l.square) > 0:
		l.square = l.square[:len(l.square)-1]
	}
	l.add(mark, l.rest()[:1], 1)
	return nil
}

func begins(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func continues(c byte) bool { return begins(c) || c >= '0' && c <= '9' || c == '$' }

// colon reads a parameter, or a colon of SQL's own: a cast (::), an assignment
// (:=), or a slice of an array ([1:n]). A parameter doesn't follow right after a
// name or a value.
func (l *lexer) colon() {
	n := 1
	for l.at+n < len(l.text) && continues(l.text[l.at+n]) && l.text[l.at+n] != '$' {
		n++
	}
	switch {
	case l.has("::") || l.has(":="):
		l.add(mark, l.rest()[:2], 2)
	case n > 1 && begins(l.text[l.at+1]) && !l.glued() && (len(l.square) == 0 || !l.square[len(l.square)-1]):
		l.add(parameter, l.rest()[1:n], n)
	default:
		l.add(mark, ":", 1)
	}
}

// glued reports whether a name or a value ends right before the next byte.
func (l *lexer) glued() bool {
	return l.afterValue() && l.tokens[len(l.tokens)-1].end == l.at
}

// afterValue reports whether the last token is a name or ends a value. What's in
// brackets after it is a subscript, and elsewhere an array.
func (l *lexer) afterValue() bool {
	if len(l.tokens) == 0 {
		return false
	}
	last := l.tokens[len(l.tokens)-1]
	return last.kind != mark && !last.is("array") || last.isMark(")") || last.isMark("]")
}

// word reads a name or a keyword, or a literal that a letter begins (E'…').
func (l *lexer) word() error {
	n := 1
	for l.at+n < len(l.text) && continues(l.text[l.at+n]) {
		n++
	}
	text := strings.ToLower(l.rest()[:n])
	next := l.rest()[n:]
	if l.dialect == Postgres && strings.HasPrefix(next, "'") && slices.Contains([]string{"e", "b", "x", "n"}, text) {
		return l.quoted(literal, n, text == "e")
	}
	if l.dialect == Postgres && text == "u" && (strings.HasPrefix(next, "&'") || strings.HasPrefix(next, "&\"")) {
		return problem(l.text, l.at, "the character itself, or E'\\u00e9'", "U& texts and names aren't supported")
	}
	if l.dialect == MySQL {
		text = l.rest()[:n]
		if isKeyword(text) {
			text = strings.ToLower(text)
		}
	}
	l.add(word, text, n)
	return nil
}

// quoted reads what stands in quotes, of which two stand for one. before is how
// many bytes come before the first quote.
func (l *lexer) quoted(k kind, before int, backslashes bool) error {
	quote := l.text[l.at+before]
	var b strings.Builder
	for i := l.at + before + 1; i < len(l.text); i++ {
		switch c := l.text[i]; {
		case c == '\\' && backslashes && i+1 < len(l.text):
			b.WriteString(l.text[i : i+2])
			i++
		case c != quote:
			b.WriteByte(c)
		case i+1 < len(l.text) && l.text[i+1] == quote:
			b.WriteByte(quote)
			i++
		default:
			l.add(k, b.String(), i+1-l.at)
			return nil
		}
	}
	return problem(l.text, l.at, "", "a %c without its end", quote)
}

// dollar reads $tag$text$tag$.
func (l *lexer) dollar() error {
	n := 1
	for l.at+n < len(l.text) && continues(l.text[l.at+n]) && l.text[l.at+n] != '$' {
		n++
	}
	if l.at+n >= len(l.text) || l.text[l.at+n] != '$' || n > 1 && !begins(l.text[l.at+1]) {
		return problem(l.text, l.at, ":name, with the name of one of the credential's fields", "a parameter without a name")
	}
	tag := l.rest()[:n+1]
	inside, _, found := strings.Cut(l.rest()[n+1:], tag)
	if !found {
		return problem(l.text, l.at, "", "a %s without its end", tag)
	}
	l.add(literal, inside, len(inside)+2*len(tag))
	return nil
}

func (l *lexer) comment() bool {
	switch {
	case l.has("/*"):
		return true
	case l.dialect == Postgres:
		return l.has("--")
	}
	return l.has("#") || l.has("--") && (len(l.rest()) == 2 || l.rest()[2] <= ' ')
}

func (l *lexer) skipComment() error {
	if !l.has("/*") {
		line, _, _ := strings.Cut(l.rest(), "\n")
		l.at += len(line)
		return nil
	}
	if l.dialect == MySQL && (l.has("/*!") || l.has("/*M!")) {
		return problem(l.text, l.at, "the statement without it", "a comment that some servers run")
	}
	open := 0
	for i := l.at; i+1 < len(l.text); i++ {
		switch l.text[i : i+2] {
		case "/*":
			if open == 0 || l.dialect == Postgres {
				open++
				i++
			}
		case "*/":
			open--
			i++
			if open == 0 {
				l.at = i + 1
				return nil
			}
		}
	}
	return problem(l.text, l.at, "", "a /* without its */")
}

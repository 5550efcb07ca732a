package cli

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// cell is text in a table, with its color.
type cell struct {
	text  string
	color color
}

func cells(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, t := range texts {
		row[i] = cell{text: t}
	}
	return row
}

// section is a part of a table under a title of its own.
type section struct {
	title cell
	rows  [][]cell
}

// table prints rows under a header, in columns two spaces apart. Empty columns
// are left out. What's too wide for the terminal is wrapped, or put below its
// row. (Unlike text/tabwriter, it doesn't count color codes as width.)
func (a *app) table(header []string, rows [][]cell) {
	a.sections(header, []section{{rows: rows}})
}

// sections prints several tables with the same columns.
func (a *app) sections(header []string, parts []section) {
	width, word := make([]int, len(header)), make([]int, len(header)) // of the longest text, and the longest word
	for _, p := range parts {
		for _, row := range p.rows {
			for i := range row {
				row[i].text = escape(row[i].text) // before its width is taken
				width[i] = max(width[i], utf8.RuneCountInString(row[i].text))
				for w := range strings.FieldsSeq(row[i].text) {
					word[i] = max(word[i], utf8.RuneCountInString(w))
				}
			}
		}
	}
	l := fit(header, width, word, max(a.outStyle.width, leastWidth))
	head := make([]cell, len(header))
	for i, h := range header {
		head[i] = cell{h, bold}
	}
	a.row(l, head)
	for _, p := range parts {
		if p.title.text != "" {
			a.printf("%s", a.paint(a.outStyle, p.title.color, p.title.text))
		}
		for _, row := range p.rows {
			a.row(l, row)
			a.below(l, row)
		}
	}
}

// layout is how a table's columns fit.
type layout struct {
	header  []string
	columns []int // the widths of the columns that stand side by side, 0 for an empty one
	last    int   // the last of them, whose text is wrapped
	under   []int // the columns whose texts stand below their row
	limit   int   // columns of the terminal
}

// leastWrapped is the narrowest column in which text is wrapped beside others.
const leastWrapped = 30

// fit decides which columns stand side by side: all of them, the last one
// wrapped, or only those on the left.
func fit(header []string, width, word []int, limit int) layout {
	l := layout{header: header, columns: make([]int, len(width)), limit: limit}
	total := -gap
	for i, w := range width {
		if w > 0 {
			l.columns[i], l.last = max(w, utf8.RuneCountInString(header[i])), i
			total += l.columns[i] + gap
		}
	}
	if rest := limit - (total - l.columns[l.last]); total > limit && rest >= max(leastWrapped, word[l.last]) {
		l.columns[l.last] = rest
		return l
	}
	for total > limit && slices.ContainsFunc(l.columns[:l.last], func(w int) bool { return w > 0 }) {
		total -= l.columns[l.last] + gap
		l.under, l.columns[l.last] = append(l.under, l.last), 0
		for l.last--; l.columns[l.last] == 0; l.last-- {
			continue
		}
	}
	slices.Reverse(l.under)
	return l
}

// gap is the space between two columns.
const gap = 2

// row prints the cells that stand side by side.
func (a *app) row(l layout, row []cell) {
	var line strings.Builder
	at, blanks := 0, 0 // where the next column begins, and what's missing up to there
	for i, c := range row {
		if l.columns[i] == 0 || c.text == "" && i != l.last {
			if l.columns[i] > 0 {
				at, blanks = at+l.columns[i]+gap, blanks+l.columns[i]+gap
			}
			continue
		}
		lines := []string{c.text}
		if i == l.last && at+utf8.RuneCountInString(c.text) > l.limit {
			lines = wrap(c.text, l.limit-at)
		}
		for n, text := range lines {
			switch {
			case n > 0:
				line.WriteString("\n" + strings.Repeat(" ", at))
			case text != "":
				line.WriteString(strings.Repeat(" ", blanks))
			}
			line.WriteString(string(a.paint(a.outStyle, c.color, text)))
			blanks = max(l.columns[i]-utf8.RuneCountInString(text), 0) + gap
		}
		at += l.columns[i] + gap
	}
	a.printf("%s", painted(line.String()))
}

// freeText are the columns whose texts need no name below their row.
var freeText = []string{"WHY", "DESCRIPTION"}

// below prints the cells that don't fit beside the others.
func (a *app) below(l layout, row []cell) {
	indent := strings.Repeat(" ", 4+len(row[0].text)-len(strings.TrimLeft(row[0].text, " ")))
	tell := func(text string, c color) {
		for _, line := range wrap(text, l.limit-len(indent)) {
			a.printf("%s%s", indent, a.paint(a.outStyle, c, line))
		}
	}
	var named []string
	for _, i := range l.under {
		if c := row[i]; c.text != "" && !slices.Contains(freeText, l.header[i]) {
			named = append(named, strings.ToLower(strings.TrimSpace(l.header[i]))+": "+strings.TrimSpace(c.text))
		}
	}
	if len(named) > 0 {
		tell(strings.Join(named, "; "), plain)
	}
	for _, i := range l.under {
		if c := row[i]; c.text != "" && slices.Contains(freeText, l.header[i]) {
			tell(c.text, c.color)
		}
	}
}

// wrap breaks a text into lines between words. A word that's longer than a line,
// such as an ARN, has one of its own, so that it can still be copied.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

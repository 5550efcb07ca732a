package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Problem is one thing wrong with the file, or worth a warning. It never holds
// a secret's value.
type Problem struct {
	File string
	Pos
	Path    Path   // the value at fault; empty for the file as a whole
	Message string // what is wrong, without the path
	// Remedies are what to write instead, or what else to do. They're empty if
	// there's nothing to suggest.
	Remedies []rota.Remedy
}

// Text returns path.to.key: message.
func (p Problem) Text() string {
	if len(p.Path) == 0 {
		return p.Message
	}
	return p.Path.String() + ": " + p.Message
}

// Error returns file:line:column: path.to.key: message.
func (p Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text())
}

// Errors is everything that is wrong with a file, sorted by line.
type Errors []Problem

// Error returns one problem per line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the individual problems, each with its remedies.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, p := range e {
		errs[i] = rota.WithRemedies(p, p.Remedies)
	}
	return errs
}

// maxProblems is how many problems are reported: a person corrects the first ones
// and looks again. Without an end, a file full of them would keep the parser, and
// whoever prints them, busy for minutes.
const maxProblems = 200

// problems collects what's wrong with one file.
type problems struct {
	file string
	list []Problem
	said map[string]bool
	more bool // there are more than limit
	// limit is how many are kept. Defaults to maxProblems.
	limit int
}

// add reports a problem with a value. hint says what to write instead, or is ""
// if there's nothing to suggest.
func (p *problems) add(at Pos, path Path, hint, format string, args ...any) {
	p.suggest(at, path, rota.Configure("", hint), format, args...)
}

// fail is add for an error, including its remedies.
func (p *problems) fail(at Pos, path Path, err error) {
	p.suggest(at, path, rota.RemediesOf(err), "%v", err)
}

// suggest is add with remedies. A remedy that changes the configuration applies
// to the value itself, unless it names another key.
func (p *problems) suggest(at Pos, path Path, remedies []rota.Remedy, format string, args ...any) {
	if len(p.list) >= cmp.Or(p.limit, maxProblems) {
		p.more = true
		return
	}
	remedies = slices.Clone(remedies)
	for i, r := range remedies {
		if r.Key == "" && (r.Action == rota.RemedyConfigure || r.Action == rota.RemedyCorrect) {
			remedies[i].Key = path.String()
		}
	}
	problem := Problem{File: cmp.Or(at.File, p.file), Pos: at, Path: path, Message: fmt.Sprintf(format, args...), Remedies: remedies}
	text := problem.Error()
	if p.said[text] {
		return
	}
	if p.said == nil {
		p.said = map[string]bool{}
	}
	p.said[text] = true
	p.list = append(p.list, problem)
}

// report is add for a provider's problem.
func (p *problems) report(x provider.Problem) { p.suggest(x.At, x.Path, x.Remedies, "%s", x.Message) }

// bad returns the paths of the problems so far, and all of their parents.
func (p *problems) bad() map[string]bool {
	bad := map[string]bool{}
	for _, x := range p.list {
		for i := range x.Path {
			bad[x.Path[:i+1].String()] = true
		}
	}
	return bad
}

// sorted returns the problems by file, line and column, those of the main file
// first. If there are more than it returns, the last one says so.
func (p *problems) sorted() []Problem {
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Text(), b.Text()))
	})
	if !p.more {
		return p.list
	}
	last := p.list[len(p.list)-1]
	return append(slices.Clip(p.list), Problem{File: last.File, Pos: last.Pos, Message: fmt.Sprintf("there are more problems than these %d", maxProblems)})
}

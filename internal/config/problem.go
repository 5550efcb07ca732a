package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in the file; lines and columns count from 1. The zero Pos is
// that of a value that the file does not give.
type Pos struct{ Line, Column int }

// IsSet tells whether the file gives the value.
func (p Pos) IsSet() bool { return p.Line > 0 }

// Problem is one thing wrong with the file, or worth a warning. It never holds
// a secret's value.
type Problem struct {
	File string
	Pos
	Message string // "path.to.key: what is wrong"
	Hint    string // "did you mean …" or "try: …"; "" where nothing
}

// Error is file:line:column: message (hint).
func (p Problem) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Errors is everything that is wrong with a file, sorted by line.
type Errors []Problem

// Error is one problem a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// problems collects what is wrong with one file.
type problems struct {
	file string
	list []Problem
	said map[Problem]bool
}

func (p *problems) add(at Pos, hint, format string, args ...any) {
	problem := Problem{File: p.file, Pos: at, Message: fmt.Sprintf(format, args...), Hint: hint}
	if p.said[problem] {
		return
	}
	if p.said == nil {
		p.said = map[Problem]bool{}
	}
	p.said[problem] = true
	p.list = append(p.list, problem)
}

// sorted gives the problems by line and column.
func (p *problems) sorted() []Problem {
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return p.list
}

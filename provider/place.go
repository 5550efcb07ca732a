package provider

import (
	"strings"

	"github.com/rota-dev/rota"
)

// Pos is a place in rota.yaml, or in a file that it includes; lines and columns
// count from 1. The zero Pos is that of a value that no file gives.
type Pos struct {
	File         string // the included file's path, "" for rota.yaml itself
	Line, Column int
}

// IsSet reports whether the file gives the value.
func (p Pos) IsSet() bool { return p.Line > 0 }

// Path is the way to a value from the top of rota.yaml: the keys that lead to
// it, and "[name]" or "[2]" for an item of a list.
type Path []string

// Key is the path of a mapping's value.
func (p Path) Key(key string) Path { return append(p[:len(p):len(p)], key) }

// Item is the path of a list's item, by its name or its number.
func (p Path) Item(label string) Path { return append(p[:len(p):len(p)], "["+label+"]") }

// String is the path as problems show it, such as
// secrets[prod/orders].issuer.password.
func (p Path) String() string {
	var b strings.Builder
	for i, step := range p {
		if i > 0 && !strings.HasPrefix(step, "[") {
			b.WriteByte('.')
		}
		b.WriteString(step)
	}
	return b.String()
}

// Problem is one thing wrong with a value of rota.yaml, or a risk worth a
// warning. It never holds a secret's value.
type Problem struct {
	At      Pos
	Path    Path
	Message string // what's wrong, without the path
	// Remedies are what to write instead, or what else to do; none if there's
	// nothing to suggest.
	Remedies []rota.Remedy
}

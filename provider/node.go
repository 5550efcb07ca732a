package provider

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota"
)

// Leaf is a value of rota.yaml that's neither a mapping nor a list. It reads
// itself.
type Leaf interface {
	Read(n Node)
}

// Node is one value of rota.yaml on its way into a [Leaf].
type Node struct {
	YAML *yaml.Node
	File string // that of [Pos]
	Path Path
	Tag  reflect.StructTag // of the field that the value goes into
	Sink Sink
}

// Sink hears what reading a value turned up.
type Sink interface {
	Problem(p Problem)
	Warning(p Problem)
	// Suggest makes the remedies for a word that's none of the known ones.
	Suggest(word string, known []string) []rota.Remedy
}

// Pos is where the value stands.
func (n Node) Pos() Pos {
	return Pos{File: n.File, Line: max(n.YAML.Line, 1), Column: max(n.YAML.Column, 1)}
}

// Problem reports what's wrong with the value. hint is what to write instead,
// such as "90d", or "".
func (n Node) Problem(hint, format string, args ...any) {
	n.problem(rota.Configure(n.Path.String(), hint), format, args...)
}

func (n Node) problem(remedies []rota.Remedy, format string, args ...any) {
	n.Sink.Problem(Problem{At: n.Pos(), Path: n.Path, Message: fmt.Sprintf(format, args...), Remedies: remedies})
}

// Describe says what the value is, never what it holds.
func (n Node) Describe() string {
	switch n.YAML.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.YAML.ShortTag() {
	case "!!str":
		return "a text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a date"
	}
	return "a value of another type"
}

// Scalar refuses what isn't a single value. want says what was expected.
func (n Node) Scalar(want string) bool {
	if n.YAML.Kind == yaml.ScalarNode && n.YAML.ShortTag() != "!!null" {
		return true
	}
	n.Problem("", "expected %s, found %s", want, n.Describe())
	return false
}

// Text is the value as a text. It's refused where it is none, and where it is
// empty unless the field is tagged empty:"true".
func (n Node) Text() (string, bool) {
	if !n.Scalar("a text") {
		return "", false
	}
	if n.YAML.ShortTag() != "!!str" {
		n.Problem("quotes around it", "expected a text, found %s", n.Describe())
		return "", false
	}
	if n.YAML.Value == "" && n.Tag.Get("empty") == "" {
		n.Problem("", "is empty")
		return "", false
	}
	if strings.ContainsRune(n.YAML.Value, 0) {
		n.Problem("", "has a zero byte")
		return "", false
	}
	return n.YAML.Value, true
}

// oneOf refuses a text that isn't among those of the field's enum tag.
func (n Node) oneOf(text string) bool {
	known := n.Tag.Get("enum")
	if known == "" {
		return true
	}
	words := strings.Split(known, ",")
	if slices.Contains(words, text) {
		return true
	}
	n.problem(n.Sink.Suggest(text, words), "%q is not known", text)
	return false
}

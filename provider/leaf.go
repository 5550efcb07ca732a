package provider

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// Plain is a text that takes no references: a name, or what other people of
// the machine can see, such as a command's arguments.
type Plain struct {
	At   Pos
	Text string
}

// IsSet reports whether the file gives the value.
func (p Plain) IsSet() bool { return p.At.IsSet() }

// Read implements [Leaf].
func (p *Plain) Read(n Node) {
	s, ok := n.Text()
	if !ok {
		return
	}
	p.At = n.Pos()
	if NamesReference(s) {
		n.Problem("write the text itself", "takes no ${…} reference")
		return
	}
	if n.oneOf(s) {
		p.Text = s
	}
}

// PlainTexts are the texts of a map.
func PlainTexts(m map[string]Plain) map[string]string {
	texts := make(map[string]string, len(m))
	for name, p := range m {
		texts[name] = p.Text
	}
	return texts
}

// ConnectionName is the name of one of rota.yaml's connections. The field's
// tag kind:"aws" says which kind it must be. It's all that a target, a
// reloader or a notifier has to do for the connection to be checked, counted
// for bulkheads, fingerprinted and ordered.
type ConnectionName struct {
	At   Pos
	Path Path
	Kind string
	Text string
}

// IsSet reports whether the file gives the value.
func (c ConnectionName) IsSet() bool { return c.At.IsSet() }

// Read implements [Leaf].
func (c *ConnectionName) Read(n Node) {
	var name Plain
	name.Read(n)
	c.At, c.Text, c.Path, c.Kind = name.At, name.Text, n.Path, n.Tag.Get("kind")
}

// MaxName is how long a secret's name may be, as in AWS Secrets Manager.
const MaxName = 512

// SecretName is what a secret's name looks like.
var SecretName = regexp.MustCompile(`^[A-Za-z0-9_+=@][A-Za-z0-9_+=.@-]*(/[A-Za-z0-9_+=.@-]+)*$`)

// GoodName reports whether a text can be a secret's name: one that Secrets
// Manager takes as well, and that neither a shell nor a file system takes for
// something else.
func GoodName(text string) bool {
	if len(text) > MaxName || !SecretName.MatchString(text) {
		return false
	}
	for part := range strings.SplitSeq(text, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return true
}

// Name is a secret's name.
type Name struct {
	At   Pos
	Text string
}

// Read implements [Leaf].
func (s *Name) Read(n Node) {
	text, ok := n.Text()
	if !ok {
		return
	}
	s.At = n.Pos()
	if !GoodName(text) {
		n.Problem("prod/orders-db; letters, digits and _ + = . @ -, in parts with / between them, not beginning with - or ., at most 512", "not a secret's name")
		return
	}
	s.Text = text
}

// Duration is a span of time, such as 90d, 12h or 10s.
type Duration struct {
	At     Pos
	Length time.Duration
}

// IsSet reports whether the file gives the value.
func (l Duration) IsSet() bool { return l.At.IsSet() }

// Read implements [Leaf].
func (l *Duration) Read(n Node) {
	if !n.Scalar("a duration such as 90d") {
		return
	}
	l.At = n.Pos()
	if n.YAML.ShortTag() != "!!str" {
		n.Problem("90d, 12h, 30m, 0s", "expected a duration with a unit, found %s", n.Describe())
		return
	}
	length, err := rota.ParseDuration(n.YAML.Value)
	if err != nil {
		n.problem(rota.RemediesOf(err), "%v", err)
		return
	}
	l.Length = length
}

// Int is a whole number. The field's tags min and max say which are taken.
type Int struct {
	At     Pos
	Number int
}

// IsSet reports whether the file gives the value.
func (i Int) IsSet() bool { return i.At.IsSet() }

// Read implements [Leaf].
func (i *Int) Read(n Node) {
	if !n.Scalar("a whole number") {
		return
	}
	i.At = n.Pos()
	number, err := strconv.Atoi(n.YAML.Value)
	if n.YAML.ShortTag() != "!!int" || err != nil {
		n.Problem("", "expected a whole number, found %s", n.Describe())
		return
	}
	low, high := Bounds(n.Tag)
	if number < low || number > high {
		n.Problem("", "%d is not between %d and %d", number, low, high)
		return
	}
	i.Number = number
}

// Bounds are the least and the greatest number that a field takes.
func Bounds(tag reflect.StructTag) (low, high int) {
	low, _ = strconv.Atoi(tag.Get("min"))
	high, _ = strconv.Atoi(tag.Get("max"))
	return low, high
}

// Bool is yes or no.
type Bool struct {
	At  Pos
	Yes bool
}

// Read implements [Leaf].
func (b *Bool) Read(n Node) {
	if !n.Scalar("true or false") {
		return
	}
	b.At = n.Pos()
	if n.YAML.ShortTag() != "!!bool" {
		n.Problem("true, false", "expected true or false, found %s", n.Describe())
		return
	}
	b.Yes = strings.EqualFold(n.YAML.Value, "true")
}

// FileMode is what a [Mode] looks like.
var FileMode = regexp.MustCompile(`^0?[0-7]{3}$`)

// Mode is a file's permissions, in octal.
type Mode struct {
	At   Pos
	Text string
}

// IsSet reports whether the file gives the value.
func (m Mode) IsSet() bool { return m.At.IsSet() }

// Read implements [Leaf].
func (m *Mode) Read(n Node) {
	if !n.Scalar("permissions such as \"0600\"") {
		return
	}
	m.At = n.Pos()
	if n.YAML.ShortTag() != "!!str" || !FileMode.MatchString(n.YAML.Value) {
		n.Problem(`mode: "0600", in quotes`, "expected permissions in octal")
		return
	}
	m.Text = n.YAML.Value
}

// Perm is the permissions as a number.
func (m Mode) Perm() uint32 {
	perm, _ := strconv.ParseUint(m.Text, 8, 32) // three octal digits, checked when read
	return uint32(perm)
}

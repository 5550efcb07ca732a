package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rota-dev/rota"
)

var (
	secretName     = regexp.MustCompile(`^[A-Za-z0-9_+=@][A-Za-z0-9_+=.@-]*(/[A-Za-z0-9_+=.@-]+)*$`)
	connectionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	variable       = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	fileMode       = regexp.MustCompile(`^0?[0-7]{3}$`)
)

// leaf is a value that is no mapping and no list. It reads itself.
type leaf interface {
	read(d *decoder, n *yaml.Node, path string, tag reflect.StructTag)
}

// Text is a value that may hold references: ${env:X}, ${file:/run/x},
// ${secret:name#field}. As it may be a password, it never prints itself.
type Text struct {
	At     Pos
	path   string
	pieces []*piece // pointers: even a print by reflection shows no value
}

// IsSet tells whether the file gives the value.
func (t Text) IsSet() bool { return t.At.IsSet() }

// Format writes [redacted] for every verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// MarshalJSON writes [redacted].
func (t Text) MarshalJSON() ([]byte, error) { return []byte(`"[redacted]"`), nil }

// literal is the text, where it holds no reference.
func (t Text) literal() (string, bool) {
	switch {
	case len(t.pieces) == 0:
		return "", true
	case len(t.pieces) == 1 && t.pieces[0].ref == nil:
		return t.pieces[0].literal, true
	}
	return "", false
}

// references are those in the text, in order.
func (t Text) references() []reference {
	var refs []reference
	for _, p := range t.pieces {
		if p.ref != nil {
			refs = append(refs, *p.ref)
		}
	}
	return refs
}

func (t *Text) read(d *decoder, n *yaml.Node, path string, tag reflect.StructTag) {
	s, ok := d.text(n, path, tag)
	if !ok {
		return
	}
	t.At, t.path = at(n), path
	pieces, err := parseReferences(s)
	if err != nil {
		d.problem(n, "", "%s: %v", path, err)
		return
	}
	t.pieces = pieces
	d.texts = append(d.texts, t)
	if lit, plain := t.literal(); tag.Get("secret") == "true" && plain && lit != "" {
		d.warnings.add(t.At, "try: ${env:NAME} or ${file:/path}", "%s: a secret's value stands in the file itself", path)
	}
}

// Plain is a text that takes no references: a name, or what other people of
// the machine can see, such as a command's arguments.
type Plain struct {
	At   Pos
	Text string
}

// IsSet tells whether the file gives the value.
func (p Plain) IsSet() bool { return p.At.IsSet() }

func (p *Plain) read(d *decoder, n *yaml.Node, path string, tag reflect.StructTag) {
	s, ok := d.text(n, path, tag)
	if !ok {
		return
	}
	p.At = at(n)
	if namesReference(s) {
		d.problem(n, "try: write the text itself", "%s: takes no ${…} reference", path)
		return
	}
	if known := tag.Get("enum"); known != "" {
		if words := strings.Split(known, ","); !contains(words, s) {
			d.problem(n, suggest(s, words), "%s: %q is not known", path, s)
			return
		}
	}
	p.Text = s
}

// maxName is how long a secret's name may be, as in AWS Secrets Manager.
const maxName = 512

// goodName tells whether a text can be a secret's name: one that Secrets
// Manager takes as well, and that neither a shell nor a file system takes for
// something else.
func goodName(text string) bool {
	if len(text) > maxName || !secretName.MatchString(text) {
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

func (s *Name) read(d *decoder, n *yaml.Node, path string, tag reflect.StructTag) {
	text, ok := d.text(n, path, tag)
	if !ok {
		return
	}
	s.At = at(n)
	if !goodName(text) {
		d.problem(n, "try: prod/orders-db; letters, digits and _ + = . @ -, in parts with / between them, not beginning with - or ., at most 512", "%s: not a secret's name", path)
		return
	}
	s.Text = text
}

// Duration is a span of time, such as 90d, 12h or 10s.
type Duration struct {
	At     Pos
	Length time.Duration
}

// IsSet tells whether the file gives the value.
func (l Duration) IsSet() bool { return l.At.IsSet() }

func (l *Duration) read(d *decoder, n *yaml.Node, path string, _ reflect.StructTag) {
	if !d.scalar(n, path, "a duration such as 90d") {
		return
	}
	l.At = at(n)
	if n.ShortTag() != "!!str" {
		d.problem(n, "try: 90d, 12h, 30m, 0s", "%s: expected a duration with a unit, found %s", path, describe(n))
		return
	}
	length, err := rota.ParseDuration(n.Value)
	if err != nil {
		d.problem(n, "", "%s: %v", path, err)
		return
	}
	l.Length = length
}

// Int is a whole number.
type Int struct {
	At     Pos
	Number int
}

// IsSet tells whether the file gives the value.
func (i Int) IsSet() bool { return i.At.IsSet() }

func (i *Int) read(d *decoder, n *yaml.Node, path string, tag reflect.StructTag) {
	if !d.scalar(n, path, "a whole number") {
		return
	}
	i.At = at(n)
	number, err := strconv.Atoi(n.Value)
	if n.ShortTag() != "!!int" || err != nil {
		d.problem(n, "", "%s: expected a whole number, found %s", path, describe(n))
		return
	}
	low, high := bounds(tag)
	if number < low || number > high {
		d.problem(n, "", "%s: %d is not between %d and %d", path, number, low, high)
		return
	}
	i.Number = number
}

// bounds are the least and the greatest number that a field takes.
func bounds(tag reflect.StructTag) (low, high int) {
	low, _ = strconv.Atoi(tag.Get("min"))
	high, _ = strconv.Atoi(tag.Get("max"))
	return low, high
}

// Mode is a file's permissions, in octal.
type Mode struct {
	At   Pos
	Text string
}

// IsSet tells whether the file gives the value.
func (m Mode) IsSet() bool { return m.At.IsSet() }

func (m *Mode) read(d *decoder, n *yaml.Node, path string, _ reflect.StructTag) {
	if !d.scalar(n, path, "permissions such as \"0600\"") {
		return
	}
	m.At = at(n)
	if n.ShortTag() != "!!str" || !fileMode.MatchString(n.Value) {
		d.problem(n, `try: mode: "0600", in quotes`, "%s: expected permissions in octal", path)
		return
	}
	m.Text = n.Value
}

// Perm is the permissions as a number.
func (m Mode) Perm() uint32 {
	perm, _ := strconv.ParseUint(m.Text, 8, 32) // three octal digits, checked when read
	return uint32(perm)
}

package provider

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// Text is a value that may hold references: ${env:X}, ${file:/run/x},
// ${secret:name#field}. As it may be a password, it never prints itself.
type Text struct {
	At     Pos
	Path   Path
	Public bool     // anybody may know it
	Login  bool     // it's a part of a login, and says nothing about what's done with that
	pieces []*piece // pointers: even a print by reflection shows no value
}

// IsSet reports whether the file gives the value.
func (t Text) IsSet() bool { return t.At.IsSet() }

// Format writes [redacted] for every verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// MarshalJSON writes [redacted].
func (t Text) MarshalJSON() ([]byte, error) { return []byte(`"[redacted]"`), nil }

// Literal is the text, where it holds no reference; "" and true where the file
// doesn't give it.
func (t Text) Literal() (string, bool) {
	switch {
	case len(t.pieces) == 0:
		return "", true
	case len(t.pieces) == 1 && t.pieces[0].ref == nil:
		return t.pieces[0].literal, true
	}
	return "", false
}

// References are those in the text, in order.
func (t Text) References() []Reference {
	var refs []Reference
	for _, p := range t.pieces {
		if p.ref != nil {
			refs = append(refs, *p.ref)
		}
	}
	return refs
}

// Expand puts the text together from its literal parts and what value gives
// for each reference.
func (t Text) Expand(value func(Reference) (string, error)) (string, error) {
	var whole []byte
	for _, p := range t.pieces {
		if p.ref == nil {
			whole = append(whole, p.literal...)
			continue
		}
		part, err := value(*p.ref)
		if err != nil {
			return "", err
		}
		whole = append(whole, part...)
	}
	return string(whole), nil
}

// Read implements [Leaf].
func (t *Text) Read(n Node) {
	s, ok := n.Text()
	if !ok {
		return
	}
	harmless := len(n.Path) > 0 && slices.Contains(strings.Split(n.Tag.Get("harmless"), ","), n.Path[len(n.Path)-1])
	t.At, t.Path, t.Public, t.Login = n.Pos(), n.Path, n.Tag.Get("public") == "true", n.Tag.Get("secret") != "" && !harmless
	pieces, wrong := parseReferences(s)
	if wrong != nil {
		n.Problem(wrong.hint, "%s", wrong.message)
		return
	}
	t.pieces = pieces
	if literal, plain := t.Literal(); n.Tag.Get("secret") == "true" && !harmless && plain && literal != "" {
		n.Sink.Warning(Problem{At: t.At, Path: t.Path, Message: "a secret's value stands in the file itself", Remedies: rota.Configure(t.Path.String(), "${env:NAME} or ${file:/path}")})
	}
}

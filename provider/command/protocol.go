package command

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rota-dev/rota"
)

// Protocol is the version of the protocol that programs speak: one JSON object on
// their standard input, and one on their standard output. docs/providers/command.md
// has all of it.
const Protocol = 1

// Verb is what a program is asked to do.
type Verb string

// The verbs. Every issuer has describe, create, test and delete, and set unless it
// chooses the value itself. Those from VerbList on are optional.
const (
	VerbDescribe   Verb = "describe"
	VerbCreate     Verb = "create"
	VerbSet        Verb = "set"
	VerbTest       Verb = "test"
	VerbDelete     Verb = "delete"
	VerbDeliver    Verb = "deliver"
	VerbReload     Verb = "reload"
	VerbList       Verb = "list"
	VerbLastUsed   Verb = "last_used"
	VerbDeactivate Verb = "deactivate"
	VerbReactivate Verb = "reactivate"
	VerbInForce    Verb = "in_force"
)

// OptionalVerbs are those that an issuer may leave out.
var OptionalVerbs = []Verb{VerbList, VerbLastUsed, VerbDeactivate, VerbReactivate, VerbInForce}

// Description is what an issuer answers to describe, and what rota.yaml says of
// it. The two have to agree.
type Description struct {
	// Kind is what people call this kind of credential: "Parcel token".
	Kind string `json:"kind"`
	// Fields are those of every credential; ID is the one that identifies it, and
	// may be logged.
	Fields []string `json:"fields"`
	ID     string   `json:"id"`
	// IssuerChooses: create makes the credential valid, and its value is
	// answered only once. Otherwise create only thinks of a value, and set makes it
	// valid.
	IssuerChooses bool `json:"issuer_chooses,omitempty"`
	// FromCurrent: create, set, delete, deactivate and reactivate are given the
	// credential in use.
	FromCurrent bool `json:"from_current,omitempty"`
	// Limit is how many credentials can exist at once; 0 means no limit.
	Limit int `json:"limit,omitempty"`
	// TestSuccesses is how many tests in a row prove a credential. Defaults to 3.
	TestSuccesses int `json:"test_successes,omitempty"`
	// Settle is how long the list takes to show a change. Defaults to 0.
	Settle Span `json:"settle,omitempty"`
	// Lifetime is how long a credential lasts, which then has the field expiration;
	// 0 means until it's deleted.
	Lifetime Span `json:"lifetime,omitempty"`
	// Verbs are the optional ones that the program has.
	Verbs []Verb `json:"verbs,omitempty"`
}

// Has reports whether the program has an optional verb.
func (d Description) Has(v Verb) bool { return slices.Contains(d.Verbs, v) }

// Span is a duration that JSON has as rota.yaml does: "30s", "90d".
type Span time.Duration

// MarshalText writes the duration with all of its units.
func (s Span) MarshalText() ([]byte, error) {
	d := time.Duration(s)
	if d%rota.Day == 0 {
		return fmt.Appendf(nil, "%dd", d/rota.Day), nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads it.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := rota.ParseDuration(string(text))
	*s = Span(d)
	return err
}

// request is what a program gets on its standard input. It has what the verb needs
// and nothing else.
type request struct {
	Protocol     int               `json:"protocol"`
	Verb         Verb              `json:"verb"`
	Settings     map[string]string `json:"settings"`
	Secret       string            `json:"secret,omitempty"`
	Version      string            `json:"version,omitempty"`
	Taken        []string          `json:"taken,omitempty"`
	Current      map[string]string `json:"current,omitempty"`
	Credential   map[string]string `json:"credential,omitempty"`
	CredentialID string            `json:"credential_id,omitempty"`

	hidden map[string]string // other forms of the values, which errors must not show either
}

// answer is what a program writes to its standard output. Which of the fields
// there must be depends on the verb.
type answer struct {
	Protocol    int               `json:"protocol"`
	Verb        Verb              `json:"verb"`
	Error       *problem          `json:"error"`
	Description *Description      `json:"description"`
	Credential  map[string]string `json:"credential"`
	Credentials *[]listed         `json:"credentials"`
	Use         *use              `json:"use"`
	InForce     *string           `json:"in_force"`
}

// problem is why a program couldn't do what it was asked for.
type problem struct {
	Class      string `json:"class"`
	Message    string `json:"message"`
	Hint       string `json:"hint"`
	RetryAfter Span   `json:"retry_after"`
}

type listed struct {
	ID        string    `json:"id"`
	Active    *bool     `json:"active"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Version   string    `json:"version"`
}

type use struct {
	Evidence string    `json:"evidence"`
	At       time.Time `json:"at"`
	Detail   string    `json:"detail"`
}

// classes are what an error's class means, and which verbs may answer it; no verb
// means any.
var classes = map[string]struct {
	class    rota.Class
	sentinel error
	verbs    []Verb
}{
	"wait":       {rota.ClassWait, nil, nil},
	"stop":       {rota.ClassStop, nil, nil},
	"regenerate": {rota.ClassRegenerate, nil, []Verb{VerbSet}},
	"limit":      {rota.ClassStop, rota.ErrLimit, []Verb{VerbCreate}},
	"refused":    {rota.ClassWait, rota.ErrRefused, []Verb{VerbTest}},
	"not_found":  {rota.ClassStop, rota.ErrNotFound, []Verb{VerbDeactivate, VerbReactivate}},
	"conflict":   {rota.ClassStop, rota.ErrConflict, []Verb{VerbDelete}},
}

// parse reads an answer. Its errors say what's wrong and hold nothing that the
// answer does, which may be a value.
func parse(output []byte, verb Verb) (answer, error) {
	var a answer
	if len(bytes.TrimSpace(output)) == 0 {
		return a, errors.New("no answer on its standard output")
	}
	if !utf8.Valid(output) {
		return a, errors.New("an answer that isn't UTF-8")
	}
	if err := onceEach(output); err != nil {
		return a, err
	}
	decoder := json.NewDecoder(bytes.NewReader(output))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil {
		return answer{}, unreadable(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return answer{}, errors.New("more than one JSON object on its standard output")
	}
	switch {
	case a.Protocol != Protocol:
		return answer{}, fmt.Errorf("an answer in protocol %d: this is protocol %d", a.Protocol, Protocol)
	case a.Verb != verb:
		return answer{}, errors.New("an answer to another verb: the answer repeats the request's")
	case a.Error != nil:
		return a, a.Error.check(verb)
	}
	return a, a.complete()
}

// errTwice: which of the two counts depends on who reads them.
var errTwice = errors.New("an answer with a field that it has twice")

// onceEach refuses an object that has a name twice. What isn't JSON is left to the
// decoder.
func onceEach(output []byte) error {
	type level struct {
		names map[string]bool // nil for a list
		last  string
		value bool // the next token is a value
		exact bool // upper and lower case make two names, as of a credential's fields
	}
	var levels []level
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil //nolint:nilerr // it's the decoder's to report
		}
		top := len(levels) - 1
		if name, ok := token.(string); ok && top >= 0 && levels[top].names != nil && !levels[top].value {
			if !levels[top].exact {
				name = strings.ToLower(name) // the protocol's own, which are read in any case
			}
			if levels[top].names[name] {
				return errTwice
			}
			levels[top].names[name], levels[top].last, levels[top].value = true, name, true
			continue
		}
		if top >= 0 {
			levels[top].value = false
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{names: map[string]bool{}, exact: top == 0 && levels[0].last == "credential"})
		case json.Delim('['):
			levels = append(levels, level{})
		case json.Delim('}'), json.Delim(']'):
			if levels = levels[:top]; len(levels) == 0 {
				return nil
			}
		}
	}
}

// complete checks that an answer has what its verb's must have, and nothing else.
func (a answer) complete() error {
	has := map[string]bool{
		"description": a.Description != nil, "credential": a.Credential != nil, "credentials": a.Credentials != nil,
		"use": a.Use != nil, "in_force": a.InForce != nil,
	}
	needs := map[Verb]string{VerbDescribe: "description", VerbCreate: "credential", VerbList: "credentials", VerbLastUsed: "use", VerbInForce: "in_force"}[a.Verb]
	for _, field := range []string{"description", "credential", "credentials", "use", "in_force"} {
		switch {
		case has[field] && field != needs:
			return fmt.Errorf("an answer with %s, which isn't for %s", field, a.Verb)
		case !has[field] && field == needs:
			return fmt.Errorf("an answer without %s", field)
		}
	}
	return nil
}

func (p *problem) check(verb Verb) error {
	class, known := classes[p.Class]
	switch {
	case !known:
		return errors.New("an error of a class that the protocol doesn't have")
	case class.verbs != nil && !slices.Contains(class.verbs, verb):
		return fmt.Errorf("an error of class %s, which isn't for %s", p.Class, verb)
	case strings.TrimSpace(p.Message) == "":
		return errors.New("an error without a message")
	case p.RetryAfter < 0:
		return errors.New("an error with a negative retry_after")
	}
	return nil
}

// fieldName is what may be shown of an answer that can't be read.
var fieldName = regexp.MustCompile(`"([a-z_]{1,20})"$`)

// unreadable is the decoder's error without the text that it quotes.
func unreadable(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("an answer with %s in a form that it can't have", cmp.Or(wrong.Field, "something"))
	}
	if text := err.Error(); strings.HasPrefix(text, "json: unknown field ") {
		if name := fieldName.FindStringSubmatch(text); name != nil {
			return fmt.Errorf("an answer with a field %s, which the protocol doesn't have", name[1])
		}
		return errors.New("an answer with a field that the protocol doesn't have")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("an answer that breaks off")
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return errors.New("an answer that isn't JSON")
	}
	return errors.New("an answer with a time or a duration in another form than 2030-01-31T12:00:00Z or 30s")
}

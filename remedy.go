package rota

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Remedy is one thing a person can do to end a hold or a failure. Where there
// are several they are alternatives, the recommended one first. Each leads on by
// itself: once it's done, either the hold is over or the next one names what
// remains.
//
// It says what to do, never how: the command line turns it into a command,
// the API exposes it, and a web page can make it a button.
type Remedy struct {
	Action RemedyAction `json:"action"`
	// Secret is the one that Rota's own actions are about.
	Secret string `json:"secret,omitempty"`
	// Key is the key of rota.yaml to change, with RemedyConfigure, and Value
	// what to set it to where one value is the answer.
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
	// Verb is what to do to Object at the outside system, with RemedyOutside,
	// where it can be said exactly. Object is the issuer's name of a credential,
	// a version's id, or what a permission allows.
	Verb   RemedyVerb `json:"verb,omitempty"`
	Object string     `json:"object,omitempty"`
	// Then is the action of Rota's own that has to follow, on Secret, where
	// the first one alone doesn't end the hold: a step that was given up isn't
	// tried again until a person resumes it. "" where nothing has to.
	Then RemedyAction `json:"then,omitempty"`
	// Text is for people. With RemedyConfigure, RemedyCommand and RemedyOutside
	// it says all there is to do. With Rota's own actions it says when or what
	// for ("once it's fixed", "to keep it"), and may be empty.
	Text string `json:"text,omitempty"`
}

// RemedyAction is what a person does.
type RemedyAction string

// The actions.
const (
	RemedyAdopt      RemedyAction = "adopt"       // take over the store's current credential
	RemedyAdoptGiven RemedyAction = "adopt given" // take over a credential that the person hands in
	RemedyRotate     RemedyAction = "rotate"
	RemedyRollBack   RemedyAction = "rollback"
	RemedyDeliver    RemedyAction = "deliver"
	RemedyDeactivate RemedyAction = "deactivate" // the previous credential
	RemedyDelete     RemedyAction = "delete"     // the previous credential
	RemedyResume     RemedyAction = "resume"
	RemedyThaw       RemedyAction = "thaw"
	RemedyDone       RemedyAction = "done" // say that a person rotated it
	RemedyRun        RemedyAction = "run"  // have Rota look again now
	RemedyWait       RemedyAction = "wait" // time alone ends it

	RemedyCorrect   RemedyAction = "correct"   // what was given was probably meant to be Value
	RemedyCommand   RemedyAction = "command"   // run this command, or the same one with these arguments
	RemedyConfigure RemedyAction = "configure" // change this key in rota.yaml
	RemedyOutside   RemedyAction = "outside"   // do this at the outside system, or on the machine
)

// RemedyVerb is what a person does to one object at the outside system.
type RemedyVerb string

// The verbs. What takes a credential away is meant for one that nobody uses: a
// person looks first.
const (
	VerbReactivate RemedyVerb = "reactivate" // the credential at the issuer
	VerbDelete     RemedyVerb = "delete"     // the credential at the issuer; of a role, its password and its login
	VerbDeactivate RemedyVerb = "deactivate" // the credential at the issuer
	VerbUnlabel    RemedyVerb = "unlabel"    // take the label that isn't Rota's off the version in the store
	VerbGrant      RemedyVerb = "grant"      // Rota's own login the permission to do what Object says
)

// String says it in a few words and names no command: "rotate prod/app".
func (r Remedy) String() string {
	if r.Then != "" {
		return r.First().String() + ", then " + phrase(string(r.Then), r.Secret)
	}
	switch r.Action {
	case RemedyCommand, RemedyConfigure, RemedyOutside, RemedyWait:
		return cmp.Or(r.Text, phrase(string(r.Verb), r.Object), phrase(r.Key, r.Value), string(r.Action))
	case RemedyCorrect:
		return fmt.Sprintf("did you mean %q?", r.Value)
	case RemedyAdoptGiven:
		return phrase("adopt", r.Secret, cmp.Or(r.Text, "with the one in use"))
	case RemedyRollBack:
		return phrase("roll back", r.Secret, r.Text)
	}
	return phrase(string(r.Action), r.Secret, r.Text)
}

// First is the remedy without what has to follow it.
func (r Remedy) First() Remedy {
	r.Then = ""
	return r
}

// Next is what has to follow the remedy; false where nothing has to.
func (r Remedy) Next() (Remedy, bool) {
	return Remedy{Action: r.Then, Secret: r.Secret}, r.Then != ""
}

func phrase(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// Hint says the remedies in one phrase, the recommended one first; "" for none.
func Hint(remedies []Remedy) string { return HintBy(remedies, Remedy.String) }

// HintBy is Hint with each remedy said by the given function.
func HintBy(remedies []Remedy, say func(Remedy) string) string {
	texts := make([]string, len(remedies))
	for i, r := range remedies {
		texts[i] = say(r)
	}
	return strings.Join(texts, ", or ")
}

// WithHint is a text with what a person can do behind it, each remedy said by the
// given function: "what is wrong (try: …)", or "what is wrong (did you mean …?)".
func WithHint(text string, remedies []Remedy, say func(Remedy) string) string {
	hint := HintBy(remedies, say)
	switch {
	case hint == "":
		return text
	case remedies[0].Action == RemedyCorrect:
		return text + " (" + hint + ")"
	}
	return text + " (try: " + hint + ")"
}

// Outside is the remedy to do what the text says, at the outside system or on
// the machine; nil for "".
func Outside(text string) []Remedy { return said(RemedyOutside, text) }

// Command is the remedy to run the command, or the same one with what the text
// says; nil for "".
func Command(text string) []Remedy { return said(RemedyCommand, text) }

// Configure is the remedy to change the key in rota.yaml as the text says; nil
// for "". Where the caller doesn't know the key's name it is "", and whoever
// reads the file fills it in.
func Configure(key, text string) []Remedy {
	remedies := said(RemedyConfigure, text)
	for i := range remedies {
		remedies[i].Key = key
	}
	return remedies
}

// Correct is the remedy for a mistyped word: the one that was probably meant.
func Correct(value string) []Remedy { return []Remedy{{Action: RemedyCorrect, Value: value}} }

func said(action RemedyAction, text string) []Remedy {
	if text == "" {
		return nil
	}
	return []Remedy{{Action: action, Text: text}}
}

// remedied is an error with what a person can do about it.
type remedied struct {
	error
	remedies []Remedy
}

func (e *remedied) Unwrap() error { return e.error }

// WithRemedies adds what a person can do about an error, which isn't part of
// its text. It returns nil for nil.
func WithRemedies(err error, remedies []Remedy) error {
	if err == nil || len(remedies) == 0 {
		return err
	}
	return &remedied{err, remedies}
}

// RemediesOf are the remedies that an error carries: the outermost ones of its
// chain, and those of every branch where errors are joined. An error type carries
// its own by a method Remedies() []Remedy.
func RemediesOf(err error) []Remedy {
	var out []Remedy
	switch e := err.(type) { //nolint:errorlint // it walks the chain itself, branch by branch
	case nil:
	case *remedied:
		return e.remedies
	case *Error:
		if len(e.Remedies) > 0 {
			return e.Remedies
		}
		return RemediesOf(e.Err)
	case *sanitized:
		return e.remedies
	case interface{ Remedies() []Remedy }:
		if remedies := e.Remedies(); len(remedies) > 0 {
			return remedies
		}
		return RemediesOf(errors.Unwrap(err))
	case interface{ Unwrap() []error }:
		for _, branch := range e.Unwrap() {
			for _, r := range RemediesOf(branch) {
				if !slices.Contains(out, r) {
					out = append(out, r)
				}
			}
		}
	default:
		return RemediesOf(errors.Unwrap(err))
	}
	return out
}

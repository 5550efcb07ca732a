package rota

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Remedy is one thing a person can do to end a hold or a failure. If there are
// several, they're alternatives, with the recommended one first. Each one
// suffices by itself: once it's done, either the hold is over or a new remedy
// says what's left to do. If several things are wrong at once, [Remedy.Also]
// marks where the alternatives for the next one begin.
//
// A remedy says what to do, never how. The command line turns it into a command,
// the API exposes it as a value, and a web page can show it as a button.
type Remedy struct {
	Action RemedyAction `json:"action"`
	// Secret is the secret that one of Rota's own actions applies to.
	Secret string `json:"secret,omitempty"`
	// Key is the key in rota.yaml to change, with RemedyConfigure. Value is what
	// to set it to, if there's exactly one answer.
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
	// Verb is what to do to Object at the outside system, with RemedyOutside,
	// if it can be said that precisely. Object is the issuer's name for a
	// credential, a version's id, or what a permission allows.
	Verb   RemedyVerb `json:"verb,omitempty"`
	Object string     `json:"object,omitempty"`
	// Then is the Rota action that has to follow, on Secret, if the first one
	// alone doesn't end the hold. For example, a quarantined step isn't retried
	// until a person resumes it. "" if nothing has to follow.
	Then RemedyAction `json:"then,omitempty"`
	// Also begins the next requirement: one of the remedies from here on is
	// needed in addition to one of those before, not instead. See [Requirements].
	Also bool `json:"also,omitempty"`
	// Text is for people. With RemedyConfigure, RemedyCommand and RemedyOutside
	// it's the complete instruction. With Rota's own actions it adds when or why
	// ("once it's fixed", "to keep it"), and can be empty.
	Text string `json:"text,omitempty"`
}

// RemedyAction is what a person does.
type RemedyAction string

// The actions.
const (
	RemedyAdopt      RemedyAction = "adopt"       // take over the store's current credential
	RemedyAdoptGiven RemedyAction = "adopt given" // take over a credential that the person provides
	RemedyRotate     RemedyAction = "rotate"
	RemedyRollBack   RemedyAction = "rollback"
	RemedyDeliver    RemedyAction = "deliver"
	RemedyDeactivate RemedyAction = "deactivate" // the previous credential
	RemedyDelete     RemedyAction = "delete"     // the previous credential
	RemedyResume     RemedyAction = "resume"
	RemedyThaw       RemedyAction = "thaw"
	RemedyForget     RemedyAction = "forget" // the instances that reported an older version
	RemedyDone       RemedyAction = "done"   // record that a person rotated it
	RemedyRun        RemedyAction = "run"    // have Rota check again now
	RemedyWait       RemedyAction = "wait"   // it ends by itself with time

	RemedyCorrect   RemedyAction = "correct"   // a typo: Value was probably meant
	RemedyCommand   RemedyAction = "command"   // run this command, or the same command again with these arguments
	RemedyConfigure RemedyAction = "configure" // change this key in rota.yaml
	RemedyOutside   RemedyAction = "outside"   // do this at the outside system, or on the machine
)

// RemedyVerb is what a person does to one object at the outside system.
type RemedyVerb string

// The verbs. Those that take a credential away are for one that's no longer in
// use: a person has to check first.
const (
	VerbReactivate RemedyVerb = "reactivate" // the credential at the issuer
	VerbDelete     RemedyVerb = "delete"     // the credential at the issuer; for a role, its password and its login
	VerbDeactivate RemedyVerb = "deactivate" // the credential at the issuer
	VerbUnlabel    RemedyVerb = "unlabel"    // remove the label that isn't Rota's from the version in the store
	VerbGrant      RemedyVerb = "grant"      // give Rota's own login the permission to do what Object says
)

// String describes the remedy in a few words without naming a command, such as
// "rotate prod/app".
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

// First returns the remedy without the action that has to follow it.
func (r Remedy) First() Remedy {
	r.Then = ""
	return r
}

// Next returns the action that has to follow the remedy, and false if there is
// none.
func (r Remedy) Next() (Remedy, bool) {
	return Remedy{Action: r.Then, Secret: r.Secret}, r.Then != ""
}

func phrase(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// Hint joins the remedies into one phrase, the recommended one first. It returns
// "" if there are none.
func Hint(remedies []Remedy) string { return HintBy(remedies, Remedy.String) }

// HintBy is Hint with say to describe each remedy. One that say has no words for
// is left out. Alternatives read "this, or that", and further requirements
// "; and also this, or that".
func HintBy(remedies []Remedy, say func(Remedy) string) string {
	var all []string
	for _, alternatives := range Requirements(remedies) {
		var texts []string
		for _, r := range alternatives {
			if text := say(r); text != "" {
				texts = append(texts, text)
			}
		}
		if len(texts) > 0 {
			all = append(all, strings.Join(texts, ", or "))
		}
	}
	return strings.Join(all, "; and also ")
}

// Requirements splits remedies into those that have to be met, all of them. Each
// one is a list of alternatives, the recommended one first.
func Requirements(remedies []Remedy) [][]Remedy {
	var out [][]Remedy
	for i, r := range remedies {
		if i == 0 || r.Also {
			out = append(out, nil)
		}
		r.Also = false
		out[len(out)-1] = append(out[len(out)-1], r)
	}
	return out
}

// AllOf returns the remedies that meet all of the requirements, the reverse of
// [Requirements]. A requirement that repeats an earlier one is left out.
func AllOf(requirements ...[]Remedy) []Remedy {
	var out []Remedy
	for i, alternatives := range requirements {
		if len(alternatives) == 0 || slices.ContainsFunc(requirements[:i], func(r []Remedy) bool { return slices.Equal(r, alternatives) }) {
			continue
		}
		begin := len(out)
		out = append(out, alternatives...)
		out[begin].Also = begin > 0
	}
	return out
}

// WithHint appends the remedies to a text, using say to describe each one: "what
// is wrong (try: …)", or "what is wrong (did you mean …?)".
func WithHint(text string, remedies []Remedy, say func(Remedy) string) string {
	if line := HintLine(remedies, say); line != "" {
		text += " (" + line + ")"
	}
	return text
}

// HintLine is a hint that stands by itself: "try: …", or "did you mean …?". It's
// "" if nothing can be said.
func HintLine(remedies []Remedy, say func(Remedy) string) string {
	hint := HintBy(remedies, say)
	first := slices.IndexFunc(remedies, func(r Remedy) bool { return say(r) != "" })
	if hint == "" || remedies[first].Action == RemedyCorrect {
		return hint
	}
	return "try: " + hint
}

// Outside returns the remedy to do what the text says at the outside system or on
// the machine, or nil for "".
func Outside(text string) []Remedy { return said(RemedyOutside, text) }

// Command returns the remedies to run one of these commands, or the same command
// again with one of these arguments, and nothing else that isn't to be typed. It
// leaves out "".
func Command(alternatives ...string) []Remedy {
	var out []Remedy
	for _, text := range alternatives {
		out = append(out, said(RemedyCommand, text)...)
	}
	return out
}

// Configure returns the remedy to change a key in rota.yaml as the text says, or
// nil if the text is "". A caller that doesn't know the key's name passes "", and
// the code that reads the file fills it in.
func Configure(key, text string) []Remedy {
	remedies := said(RemedyConfigure, text)
	for i := range remedies {
		remedies[i].Key = key
	}
	return remedies
}

// Correct returns the remedy for a mistyped word. value is what was probably
// meant.
func Correct(value string) []Remedy { return []Remedy{{Action: RemedyCorrect, Value: value}} }

func said(action RemedyAction, text string) []Remedy {
	if text == "" {
		return nil
	}
	return []Remedy{{Action: action, Text: text}}
}

// remedied is an error that carries remedies.
type remedied struct {
	error
	remedies []Remedy
}

func (e *remedied) Unwrap() error { return e.error }

// WithRemedies attaches remedies to an error without changing its text. It
// returns nil if err is nil.
func WithRemedies(err error, remedies []Remedy) error {
	if err == nil || len(remedies) == 0 {
		return err
	}
	return &remedied{err, remedies}
}

// RemediesOf returns the remedies that an error carries: the outermost ones in
// its chain. If errors are joined, the remedies of every one of them are required
// ([Remedy.Also]), because each of the errors has to be dealt with. An error type
// can carry its own by having a method Remedies() []Remedy.
func RemediesOf(err error) []Remedy {
	switch e := err.(type) { //nolint:errorlint // it walks the chain itself, branch by branch
	case nil:
		return nil
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
		var requirements [][]Remedy
		for _, branch := range e.Unwrap() {
			requirements = append(requirements, Requirements(RemediesOf(branch))...)
		}
		return AllOf(requirements...)
	default:
		return RemediesOf(errors.Unwrap(err))
	}
}

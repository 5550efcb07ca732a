package rota

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Class says what can be done about an error.
type Class string

// The classes of errors.
const (
	// ClassWait means that a retry might succeed: throttled, not yet
	// consistent, timed out. It's the default for errors without a class.
	ClassWait Class = "wait"
	// ClassRegenerate means that this value will never be accepted but another
	// one might be, such as a password that the server's policy rejects.
	ClassRegenerate Class = "regenerate"
	// ClassStop means that retrying won't help until a person acts: denied,
	// conflict, not found.
	ClassStop Class = "stop"
)

// Errors that callers distinguish.
var (
	// ErrNotFound: the store has no such version, the version has no value, or
	// the issuer has no such credential.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a compare-and-swap found a different state than expected.
	ErrConflict = errors.New("conflict")
	// ErrRefused: the issuer refused a login with the credential, because it's
	// wrong, inactive, or hasn't propagated everywhere yet.
	ErrRefused = errors.New("credential refused")
	// ErrLimit: the issuer's limit on credentials is reached.
	ErrLimit = errors.New("limit reached")
	// ErrFenced: the lease was lost; another worker has the secret.
	ErrFenced = errors.New("lease lost to another worker")
	// ErrPeer: a secret to be kept apart from is no longer in the state it was in
	// when this was decided.
	ErrPeer = errors.New("a secret to be kept apart from moved meanwhile")
	// ErrAdopted: the credential to adopt is already Rota's.
	ErrAdopted = errors.New("already Rota's: nothing was done")
	// ErrBusy: another worker holds the secret's lease.
	ErrBusy = errors.New("another worker holds it")
	// ErrOtherConfiguration: a different configuration of the secret is in force, so
	// whatever is due is left to a worker that has it. It's an ErrBusy.
	ErrOtherConfiguration = fmt.Errorf("a different configuration of it is in force: %w", ErrBusy)
)

// Error is a classified error from an outside system. Its text never contains a
// secret's value.
type Error struct {
	System string // the connection's or system's name, such as "postgres app-db"
	// Connection is the name of the connection in rota.yaml that was used, ""
	// if none was. Circuit breakers are kept per connection.
	Connection string
	Op         string // what was attempted, such as "create access key for user ci"
	Class      Class
	// Remedies are what a person can do about it, if anything. They aren't
	// part of the text.
	Remedies []Remedy
	Err      error
	// RetryAfter is how long the system says to wait, 0 if it doesn't say.
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.System != "" {
		b.WriteString(e.System + ": ")
	}
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	fmt.Fprintf(&b, "%v", e.Err)
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of the first classified error in the chain. If there
// is none, it returns [ClassStop] for a conflict and [ClassWait] for anything
// else.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok && e.Class != "" {
		return e.Class
	}
	if errors.Is(err, ErrConflict) {
		return ClassStop
	}
	return ClassWait
}

// sanitized is an error from whose text Sanitize removed a secret's value.
type sanitized struct {
	text     string
	err      error
	remedies []Remedy
}

func (s *sanitized) Error() string { return s.text }

// Is and As reach the sentinel and the class, but there's no Unwrap, so that
// walking the chain can't print the inner text.
func (s *sanitized) Is(target error) bool { return errors.Is(s.err, target) }

func (s *sanitized) As(target any) bool {
	if e, ok := target.(**Error); ok {
		if inner, found := errors.AsType[*Error](s.err); found {
			*e = &Error{System: inner.System, Connection: inner.Connection, Class: inner.Class, RetryAfter: inner.RetryAfter, Remedies: s.remedies, Err: errors.New(s.text)}
			return true
		}
	}
	return false
}

// Sanitize returns err with every value of the credentials removed from its
// text, whether plain, in UTF-16, escaped or quoted as in JSON, HTML, SQL, URLs
// and shells, wrapped into lines, in base64, base32 or hexadecimal, as a list of
// bytes or as a dump with offsets, up to three of these on top of each other.
// Values shorter than four characters stay: they aren't secrets. Only a password that short is removed,
// where it stands alone. Cutting it out of longer words would give it away.
func Sanitize(err error, credentials ...Credential) error {
	if err == nil {
		return nil
	}
	var values, words []string
	for _, c := range credentials {
		for name, value := range c.fields() {
			switch {
			case publicError(name):
			case len(value) >= minRedacted:
				values = append(values, value)
			case name == FieldPassword:
				words = append(words, value)
			}
		}
	}
	cut := func(text string) string {
		if len(text) > maxSanitized {
			const half = (maxSanitized - len(Omission)) / 2
			text = strings.ToValidUTF8(text[:half]+Omission+text[len(text)-half:], "")
		}
		text = redactValues(text, values)
		for _, word := range words {
			text = redactWord(text, word)
		}
		return text
	}
	text, remedies := cut(err.Error()), slices.Clone(RemediesOf(err))
	for i := range remedies {
		r := &remedies[i]
		r.Value, r.Text = cut(r.Value), cut(r.Text)
	}
	if text == err.Error() && slices.Equal(remedies, RemediesOf(err)) {
		return err
	}
	return &sanitized{text: text, err: err, remedies: remedies}
}

// maxSanitized is how much of a text [Sanitize] keeps, in bytes: its beginning and
// its end. It's far more than anyone is shown. Finding values in a page of several
// megabytes would take seconds, and not all ways to read it could be tried.
const maxSanitized = 64 << 10

// Omission stands for the part of a program's output or of a document that an
// error leaves out.
const Omission = "…"

// The most that [Brief] shows of a text: its beginning, which says what failed,
// and its end, where programs usually say why.
const (
	briefHead = 1 << 10
	briefTail = 3 << 10
)

// Brief shortens the text of an error for people to read: the middle of a long
// one is left out. Use it after [Sanitize], because half a value isn't
// recognized. If the text has an [Omission] early on, what follows it might
// begin in the middle of a value, so that is left out too.
func Brief(text string) string {
	if len(text) <= briefHead+briefTail {
		return text
	}
	head, _, _ := strings.Cut(text[:briefHead], Omission)
	return strings.ToValidUTF8(head+Omission+text[len(text)-briefTail:], "")
}

// OneLine is a text without line breaks, as tables, reasons and the audit have it:
// the lines that a command printed, or of several errors, one after the other.
func OneLine(text string) string {
	out := ""
	for line := range strings.Lines(text) {
		switch line = strings.TrimSpace(line); {
		case line == "":
			continue
		case strings.HasSuffix(out, ":"):
			out += " "
		case out != "":
			out += "; "
		}
		out += line
	}
	return out
}

// publicError reports whether a field only identifies a credential or says where
// it's valid, so that an error can show it.
func publicError(field string) bool {
	switch field {
	case FieldAccessKeyID, FieldUsername, "host", "port", "dbname", "auth_source":
		return true
	}
	return false
}

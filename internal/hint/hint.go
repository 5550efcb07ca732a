// Package hint says remedies as commands, for the command line, logs and the
// texts that the API answers with. What a remedy is, package rota says.
package hint

import (
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Of says remedies as commands, the recommended one first: "rota resume prod/app,
// or …". It is "" for none.
func Of(remedies []rota.Remedy) string { return rota.HintBy(remedies, command) }

// Add is a text with its hint behind it: "what is wrong (try: …)", or
// "what is wrong (did you mean …?)".
func Add(text string, remedies []rota.Remedy) string {
	return rota.WithHint(text, remedies, command)
}

// Line is a hint on a line of its own: "try: …", or "did you mean …?". It's ""
// for none.
func Line(remedies []rota.Remedy) string {
	return rota.HintLine(remedies, command)
}

// Text is an error's text with its hint. Errors that were joined are each
// followed by their own.
func Text(err error) string {
	return TextBy(err, func(said string) string { return said })
}

// TextBy is [Text] with clean applied to whatever errors and remedies say, but
// not to the line breaks between errors that were joined.
func TextBy(err error, clean func(string) string) string {
	for inner := errors.Unwrap(err); inner != nil && same(err, inner); inner = errors.Unwrap(inner) {
		err = inner
	}
	each := func(one error) string { return TextBy(one, clean) }
	if before, lines, ok := joined(err, err.Error(), each); ok && before == "" {
		return lines
	}
	text := plain(err, clean)
	if line := Line(rota.RemediesOf(err)); line != "" {
		text += clean(" (" + line + ")")
	}
	return text
}

// First is [Text] of the first of joined errors, for where there's room for one.
func First(err error) string {
	for {
		join, ok := err.(interface{ Unwrap() []error })
		if !ok || len(join.Unwrap()) == 0 {
			return Text(err)
		}
		if before, _, lines := joined(err, err.Error(), error.Error); !lines || before != "" {
			return Text(err)
		}
		err = join.Unwrap()[0]
	}
}

// plain is an error's text without hints, cleaned line by line.
func plain(err error, clean func(string) string) string {
	text := err.Error()
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		each := func(one error) string { return plain(one, clean) }
		if before, lines, ok := joined(inner, text, each); ok {
			return clean(before) + lines
		}
	}
	return clean(text)
}

// joined splits a text that ends with the lines of joined errors: what comes
// before them, and the lines as say has them.
func joined(err error, text string, say func(error) string) (before, lines string, ok bool) {
	join, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return "", "", false
	}
	var raw, said []string
	for _, one := range join.Unwrap() {
		raw, said = append(raw, one.Error()), append(said, say(one))
	}
	before, ok = strings.CutSuffix(text, strings.Join(raw, "\n"))
	return before, strings.Join(said, "\n"), ok
}

// same reports whether an error only passes on the one that it wraps.
func same(outer, inner error) bool {
	return outer.Error() == inner.Error() && slices.Equal(rota.RemediesOf(outer), rota.RemediesOf(inner))
}

// Attr has errors in a log say their hints, for [slog.HandlerOptions].
func Attr(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok && a.Value.Kind() == slog.KindAny && err != nil {
		a.Value = slog.StringValue(Text(err))
	}
	return a
}

// command says one remedy. A remedy may come from a server, so only an action
// that Rota has, on a name that a secret can have, becomes a command to paste.
// Of anything else only the text is left.
func command(r rota.Remedy) string {
	if next, more := r.Next(); more {
		first, then := command(r.First()), command(next)
		if first == "" || then == "" {
			return first + then
		}
		return first + ", then " + then
	}
	words := []string{"rota", string(r.Action), r.Secret}
	named := len(r.Secret) <= provider.MaxName && provider.SecretName.MatchString(r.Secret)
	switch r.Action {
	case rota.RemedyCommand, rota.RemedyConfigure, rota.RemedyCorrect, rota.RemedyOutside, rota.RemedyWait:
		return r.String()
	case rota.RemedyThaw, rota.RemedyRun:
		named = named || r.Secret == ""
	case rota.RemedyAdoptGiven:
		words = []string{"rota", "adopt", r.Secret, "--from", "-"}
	case rota.RemedyForget:
		words = []string{"rota", "holders", r.Secret, "--forget"}
	case rota.RemedyAdopt, rota.RemedyRotate, rota.RemedyRollBack, rota.RemedyDeliver, rota.RemedyDeactivate,
		rota.RemedyDelete, rota.RemedyResume, rota.RemedyDone:
	default:
		return r.Text
	}
	if !named {
		return r.Text
	}
	said := strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	if r.Text != "" {
		return "`" + said + "` " + r.Text // so that it's plain what to copy
	}
	return said
}

// Package hint says remedies as commands, for the command line, logs and the
// texts that the API answers with. What a remedy is, package rota says.
package hint

import (
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// Of says remedies as commands, the recommended one first: "rota resume prod/app,
// or …". It is "" for none.
func Of(remedies []rota.Remedy) string { return rota.HintBy(remedies, command) }

// Add is a text with its hint behind it: "what is wrong (try: …)", or
// "what is wrong (did you mean …?)".
func Add(text string, remedies []rota.Remedy) string { return rota.WithHint(text, remedies, command) }

// Line is a hint on a line of its own: "try: …", or "did you mean …?". It's ""
// for none.
func Line(remedies []rota.Remedy) string {
	h := Of(remedies)
	if h == "" || remedies[0].Action == rota.RemedyCorrect {
		return h
	}
	return "try: " + h
}

// Text is an error's text with its hint. Errors that were joined are each
// followed by their own.
func Text(err error) string {
	for inner := errors.Unwrap(err); inner != nil && same(err, inner); inner = errors.Unwrap(inner) {
		err = inner
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var lines []string
		for _, one := range joined.Unwrap() {
			lines = append(lines, one.Error())
		}
		if strings.Join(lines, "\n") == err.Error() {
			for i, one := range joined.Unwrap() {
				lines[i] = Text(one)
			}
			return strings.Join(lines, "\n")
		}
	}
	return Add(err.Error(), rota.RemediesOf(err))
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

// command says one remedy.
func command(r rota.Remedy) string {
	if next, more := r.Next(); more {
		return command(r.First()) + ", then " + command(next)
	}
	words := []string{"rota"}
	switch r.Action {
	case rota.RemedyCommand, rota.RemedyConfigure, rota.RemedyCorrect, rota.RemedyOutside, rota.RemedyWait:
		return r.String()
	case rota.RemedyAdoptGiven:
		words = append(words, "adopt", r.Secret, "--from", "-")
	default:
		words = append(words, string(r.Action), r.Secret)
	}
	return strings.Join(strings.Fields(strings.Join(append(words, r.Text), " ")), " ")
}

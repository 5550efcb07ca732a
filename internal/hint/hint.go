// Package hint says remedies as commands, for the command line, logs and the
// texts that the API answers with. What a remedy is, package rota says.
package hint

import (
	"log/slog"
	"strings"

	"github.com/rota-dev/rota"
)

// Of says remedies as commands, the recommended one first: "rota resume prod/app,
// or …". It is "" for none.
func Of(remedies []rota.Remedy) string { return rota.HintBy(remedies, command) }

// Add is a text with its hint behind it: "what is wrong (try: …)".
func Add(text string, remedies []rota.Remedy) string {
	if h := Of(remedies); h != "" {
		return text + " (try: " + h + ")"
	}
	return text
}

// Text is an error's text with its hint.
func Text(err error) string { return Add(err.Error(), rota.RemediesOf(err)) }

// Attr has errors in a log say their hints, for [slog.HandlerOptions].
func Attr(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok && a.Value.Kind() == slog.KindAny && err != nil {
		a.Value = slog.StringValue(Text(err))
	}
	return a
}

// command says one remedy.
func command(r rota.Remedy) string {
	words := []string{"rota"}
	switch r.Action {
	case rota.RemedyCommand, rota.RemedyConfigure, rota.RemedyOutside, rota.RemedyWait:
		return r.String()
	case rota.RemedyAdoptGiven:
		words = append(words, "adopt", r.Secret, "--from", "-")
	default:
		words = append(words, string(r.Action), r.Secret)
	}
	return strings.Join(strings.Fields(strings.Join(append(words, r.Text), " ")), " ")
}

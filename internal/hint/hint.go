// Package hint phrases remedies as commands, for the command line, logs and the
// API's texts. What a remedy is, package rota defines.
package hint

import (
	"log/slog"
	"strings"

	"github.com/rota-dev/rota"
)

// Of phrases remedies as commands, recommended one first: "rota resume
// prod/app, or …". It is "" if there are none.
func Of(remedies []rota.Remedy) string { return rota.HintBy(remedies, command) }

// Add appends the hint to a text: "what is wrong (try: …)".
func Add(text string, remedies []rota.Remedy) string {
	if h := Of(remedies); h != "" {
		return text + " (try: " + h + ")"
	}
	return text
}

// Text is an error's text with its hint.
func Text(err error) string { return Add(err.Error(), rota.RemediesOf(err)) }

// Attr adds hints to errors in a log, for [slog.HandlerOptions].
func Attr(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok && a.Value.Kind() == slog.KindAny && err != nil {
		a.Value = slog.StringValue(Text(err))
	}
	return a
}

// command phrases one remedy.
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

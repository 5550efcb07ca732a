package config

import (
	"context"
	"fmt"

	"github.com/rota-dev/rota"
)

// collisions finds the secrets whose references turned out to name the same
// thing. Which of them is right can't be known: all of them are broken. Where
// only the outside world knows, each of them learns it before it changes
// anything.
func (w *wiring) collisions(ctx context.Context, out *Wired) {
	text := func(t Text) (string, bool) {
		value, err := w.Resolve(ctx, t)
		return value, err == nil
	}
	opened := func(connection string) any { return w.opened[connection].value }
	all := claims{document: &w.file.Document, text: text, opened: opened, taken: map[string][]claim{}}
	rivals := newRivalry(w)
	for _, s := range w.file.Document.Secrets {
		for _, c := range all.of(s) {
			rivals.add(c, all.ids(c))
			other, how := all.take(c)
			if other == nil {
				continue
			}
			for _, pair := range [][2]string{{c.secret, other.secret}, {other.secret, c.secret}} {
				if _, known := out.Broken[pair[0]]; !known {
					out.Broken[pair[0]] = rota.WithRemedies(fmt.Errorf("secret %s: %s is that of secret %s too%s", pair[0], c.Shown, pair[1], how), rota.Configure("", "one secret for both"))
				}
			}
		}
	}
	for _, s := range w.file.Document.Secrets {
		if rivals.has(s.Name.Text) {
			out.ByName[s.Name.Text].Rivals = rivals.of(s.Name.Text)
		}
	}
	w.closers = append(w.closers, rivals.identities.end)
}

package config

import (
	"context"
	"fmt"
)

// collisions finds the secrets whose references turned out to name the same
// thing. Which of them is right can't be known: all of them are broken.
func (w *wiring) collisions(ctx context.Context, out *Wired) {
	text := func(t Text) (string, bool) {
		value, err := w.Resolve(ctx, t)
		return value, err == nil
	}
	all := claims{document: &w.file.Document, text: text, taken: map[string][]claim{}}
	for _, s := range w.file.Document.Secrets {
		for _, c := range w.file.Document.claims(s, text) {
			other, how := all.take(c)
			if other == nil {
				continue
			}
			for _, pair := range [][2]string{{c.secret, other.secret}, {other.secret, c.secret}} {
				if _, known := out.Broken[pair[0]]; !known {
					out.Broken[pair[0]] = fmt.Errorf("secret %s: %s is that of secret %s too%s (try: one secret for both)", pair[0], c.Shown, pair[1], how)
				}
			}
		}
	}
}

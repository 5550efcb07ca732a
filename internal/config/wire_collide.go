package config

import (
	"context"
	"fmt"
)

// collisions finds the secrets whose references turned out to name the same
// thing. Which of them is right can't be known: all of them are broken.
func (w *wiring) collisions(ctx context.Context, out *Wired) {
	text := func(t Text) (string, bool) {
		value, err := w.resolve(ctx, t)
		return value, err == nil
	}
	clash := func(a, b, what string) {
		for _, pair := range [][2]string{{a, b}, {b, a}} {
			if _, known := out.Broken[pair[0]]; !known {
				out.Broken[pair[0]] = fmt.Errorf("secret %s: %s is that of secret %s too (try: one secret for both)", pair[0], what, pair[1])
			}
		}
	}
	taken := map[string]string{}
	var files []*fileUse
	for _, s := range w.file.Document.Secrets {
		name := s.Name.Text
		for _, c := range s.claims(text) {
			if other, twice := taken[c.id]; twice && other != name {
				clash(name, other, c.what)
			}
			taken[c.id] = name
		}
		for _, use := range s.fileUses(text) {
			for _, other := range files {
				if use.path != other.path {
					continue
				}
				if why := use.clash(other); why != "" {
					clash(name, other.secret, "the file of target "+use.target+why)
				}
			}
			files = append(files, use)
		}
	}
}

package config

import (
	"context"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// collisions finds secrets whose resolved references turn out to name the same
// resource. There's no way to know which one is right, so all of them are
// broken, except that nobody can break a secret of rota.yaml or of another namespace. If
// only the outside systems can tell, each of the secrets finds out before it changes
// anything.
func (w *wiring) collisions(ctx context.Context, out *Wired) {
	text := func(t Text) (string, bool) {
		value, err := w.Resolve(ctx, t)
		return value, err == nil
	}
	opened := func(connection string) any { return w.opened[connection].value }
	all := claims{document: &w.file.Document, resources: w.file.resources, text: text, opened: opened, taken: map[string][]claim{}}
	rivals := newRivalry(w)
	for _, c := range all.inOrder() {
		rivals.add(c, all.ids(c))
		other, how := all.take(c)
		if other == nil {
			continue
		}
		for _, pair := range [][2]claim{{c, *other}, {*other, c}} {
			broken, by := pair[0], pair[1].secret
			if _, known := out.Broken[broken.secret]; !known && !pair[1].order.yields(broken.order) {
				err := rota.WithRemedies(fmt.Errorf("%s is also used by secret %s%s", c.Shown, by, how), rota.Configure("", "one secret for both"))
				out.Broken[broken.secret] = &rotation.SecretError{Secret: broken.secret, Err: err}
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

package accesstest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/memory"
	"github.com/rota-dev/rota/rotation"
)

// random performs the same operations on the directory and on one in memory,
// and compares the results and the final state. A way to log in as an
// administrator always remains.
func random(t *testing.T, d Directory) {
	rapid.Check(t, func(rt *rapid.T) {
		put(t, d, func(c *access.Change) error { c.Principals = nil; return nil })
		root := access.Local("root")
		mine := access.NewAdministration(d, d, clock)
		if _, err := mine.Bootstrap(t.Context()); err != nil {
			rt.Fatal(err)
		}
		copied := &memory.Directory{}
		if err := copied.Update(t.Context(), func(c *access.Change) error {
			c.Principals = principals(t, d)
			return nil
		}); err != nil {
			rt.Fatal(err)
		}
		model := access.NewAdministration(copied, copied, clock)

		names := rapid.SampledFrom([]string{access.FirstAdministrator, "a", "b"})
		rule := rapid.Custom(func(rt *rapid.T) access.Rule {
			return access.Rule{
				Action:  rapid.SampledFrom([]access.Action{access.Read, access.Admin}).Draw(rt, "action"),
				Pattern: rapid.SampledFrom([]string{"*", "shop/*"}).Draw(rt, "pattern"),
			}
		})
		for range rapid.IntRange(1, 12).Draw(rt, "acts") {
			name := names.Draw(rt, "name")
			r := rule.Draw(rt, "rule")
			var ids []string
			for _, p := range principals(t, copied) {
				for _, k := range p.Keys {
					ids = append(ids, k.ID)
				}
			}
			id := rapid.SampledFrom(append(ids, key(9).ID)).Draw(rt, "key")
			act := rapid.SampledFrom([]func(*access.Administration) error{
				func(a *access.Administration) error { return a.Create(t.Context(), root, name, r) },
				func(a *access.Administration) error { return a.Grant(t.Context(), root, name, r) },
				func(a *access.Administration) error { return a.Revoke(t.Context(), root, name, r) },
				func(a *access.Administration) error { return a.Disable(t.Context(), root, name) },
				func(a *access.Administration) error { return a.Enable(t.Context(), root, name) },
				func(a *access.Administration) error { return a.Delete(t.Context(), root, name) },
				func(a *access.Administration) error { return a.DisableKey(t.Context(), root, id) },
				func(a *access.Administration) error { return a.EnableKey(t.Context(), root, id) },
				func(a *access.Administration) error { return a.DeleteKey(t.Context(), root, id) },
				nil, // a new key has a random id: it's created once and copied
			}).Draw(rt, "act")
			if act == nil {
				newKey(t, rt, mine, copied, name)
				continue
			}
			got, want := act(mine), act(model)
			if (got == nil) != (want == nil) || errors.Is(got, access.ErrLastAdministrator) != errors.Is(want, access.ErrLastAdministrator) {
				rt.Fatalf("answered %v, in memory %v", got, want)
			}
		}
		got := principals(t, d)
		same(t, "principals", got, principals(t, copied))
		if !slices.ContainsFunc(got, func(p access.Principal) bool {
			return !p.Disabled && access.Caller{Rules: p.Rules}.Allows(access.Admin, "") &&
				slices.ContainsFunc(p.Keys, func(k access.Key) bool { return k.Usable(start) })
		}) {
			rt.Fatalf("no administrator is left: %+v", got)
		}
	})
}

func newKey(t *testing.T, rt *rapid.T, mine *access.Administration, copied *memory.Directory, name string) {
	issued, err := mine.CreateKey(t.Context(), access.Local("root"), name, time.Time{})
	failed := copied.Update(t.Context(), func(c *access.Change) error {
		p, err := c.Find(name)
		if err == nil {
			c.AddKey(p, issued.Key, issued.Secret)
		}
		return err
	}, rotation.Entry{})
	if (err == nil) != (failed == nil) {
		rt.Fatalf("create key: %v, in memory %v", err, failed)
	}
}

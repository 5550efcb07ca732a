// Package accesstest is the conformance suite for [access.Directory], which
// every implementation passes.
package accesstest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// Run runs the suite. open returns an empty directory that is also the recorder
// of its audit.
func Run(t *testing.T, open func(*testing.T) Directory) {
	for name, test := range map[string]func(*testing.T, Directory){
		"an empty directory":                             empty,
		"stored principals are read back":                readBack,
		"a change and its entries are atomic":            atomicChange,
		"a deleted key or principal is gone":             deleted,
		"secrets survive other changes":                  secretsStay,
		"concurrent bootstraps create one administrator": bootstrap,
		"no change is lost":                              concurrent,
		"the last use only goes forward":                 used,
		"a canceled context changes nothing":             ended,
		"random administration":                          random,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// Directory is what the suite tests.
type Directory interface {
	access.Directory
	access.Recorder
	// Entries returns the audit, oldest first.
	Entries() []rotation.Entry
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return start }

func key(n int) access.Key {
	return access.Key{ID: fmt.Sprintf("ROTA%016s", fmt.Sprintf("%c", 'A'+n)), CreatedAt: start}
}

func put(t *testing.T, d access.Directory, change func(*access.Change) error, entries ...rotation.Entry) {
	t.Helper()
	if err := d.Update(t.Context(), change, entries...); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func principals(t *testing.T, d access.Directory) []access.Principal {
	t.Helper()
	all, err := d.Principals(t.Context())
	if err != nil {
		t.Fatalf("Principals: %v", err)
	}
	return all
}

func empty(t *testing.T, d Directory) {
	if _, err := d.Login(t.Context(), key(0).ID); !errors.Is(err, rota.ErrNotFound) {
		t.Errorf("Login of no key: %v, want ErrNotFound", err)
	}
	same(t, "principals", principals(t, d), []access.Principal(nil))
	if err := d.MarkUsed(t.Context(), map[string]time.Time{key(0).ID: start}); err != nil {
		t.Errorf("Used of no key: %v", err)
	}
}

func readBack(t *testing.T, d Directory) {
	disabled := access.Key{ID: key(1).ID, Disabled: true, CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
	want := []access.Principal{
		{Name: "B", CreatedAt: start, Disabled: true},
		{Name: "a", CreatedAt: start, Rules: []access.Rule{{Action: access.Read, Pattern: "shop/*"}, {Action: access.Rotate, Pattern: `x"'\`}}, Keys: []access.Key{key(0), disabled}},
		{Name: "a/b", CreatedAt: start, Keys: []access.Key{key(2)}},
		{Name: "a_b", CreatedAt: start},
	}
	put(t, d, func(c *access.Change) error {
		for _, i := range []int{3, 1, 0, 2} { // any order
			p := want[i].Clone()
			keys := p.Keys
			p.Keys = nil
			for _, k := range keys {
				c.AddKey(&p, k, access.NewSecret("secret of "+k.ID))
			}
			c.Principals = append(c.Principals, p)
		}
		return nil
	})
	same(t, "principals", principals(t, d), want)
	login, err := d.Login(t.Context(), disabled.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !login.Secret.Equal("secret of " + disabled.ID) {
		t.Error("Login returns a different secret than was stored")
	}
	same(t, "the login's key", login.Key, disabled)
	owner := want[1].Clone()
	owner.Keys = nil
	same(t, "the login's principal", login.Principal, owner)
}

func atomicChange(t *testing.T, d Directory) {
	fault := errors.New("refused")
	err := d.Update(t.Context(), func(c *access.Change) error {
		c.Principals = append(c.Principals, access.Principal{Name: "a", CreatedAt: start})
		c.AddKey(&c.Principals[0], key(0), access.NewSecret("s"))
		return fault
	}, rotation.Entry{At: start, Actor: "me", Step: "refused"})
	if !errors.Is(err, fault) {
		t.Errorf("Update: %v, want the error from change", err)
	}
	same(t, "principals after a refusal", principals(t, d), []access.Principal(nil))
	if _, err := d.Login(t.Context(), key(0).ID); !errors.Is(err, rota.ErrNotFound) {
		t.Errorf("Login of a key whose change was refused: %v, want ErrNotFound", err)
	}
	same(t, "entries after a refusal", d.Entries(), []rotation.Entry(nil))

	entry := rotation.Entry{At: start, Actor: "me", From: "192.0.2.1", Step: "create principal", Object: "a", Outcome: rotation.OutcomeSucceeded}
	put(t, d, func(c *access.Change) error {
		c.Principals = append(c.Principals, access.Principal{Name: "a", CreatedAt: start})
		return nil
	}, entry)
	same(t, "entries", d.Entries(), []rotation.Entry{entry})
}

func deleted(t *testing.T, d Directory) {
	put(t, d, func(c *access.Change) error {
		p := access.Principal{Name: "a", CreatedAt: start}
		c.AddKey(&p, key(0), access.NewSecret("zero"))
		c.AddKey(&p, key(1), access.NewSecret("one"))
		c.Principals = append(c.Principals, p)
		return nil
	})
	put(t, d, func(c *access.Change) error { c.Principals[0].Keys = c.Principals[0].Keys[1:]; return nil })
	if _, err := d.Login(t.Context(), key(0).ID); !errors.Is(err, rota.ErrNotFound) {
		t.Errorf("Login of a deleted key: %v, want ErrNotFound", err)
	}
	if login, err := d.Login(t.Context(), key(1).ID); err != nil || !login.Secret.Equal("one") {
		t.Errorf("Login of the other key: %v, or a different secret", err)
	}
	put(t, d, func(c *access.Change) error { c.Principals = nil; return nil })
	if _, err := d.Login(t.Context(), key(1).ID); !errors.Is(err, rota.ErrNotFound) {
		t.Errorf("Login of a deleted principal's key: %v, want ErrNotFound", err)
	}
}

func secretsStay(t *testing.T, d Directory) {
	put(t, d, func(c *access.Change) error {
		p := access.Principal{Name: "a", CreatedAt: start}
		c.AddKey(&p, key(0), access.NewSecret("zero"))
		c.Principals = append(c.Principals, p)
		return nil
	})
	put(t, d, func(c *access.Change) error {
		c.Principals[0].Disabled = true
		c.Principals[0].Keys[0].Disabled = true
		c.AddKey(&c.Principals[0], key(1), access.NewSecret("one"))
		return nil
	})
	for n, secret := range []string{"zero", "one"} {
		login, err := d.Login(t.Context(), key(n).ID)
		if err != nil || !login.Secret.Equal(secret) {
			t.Errorf("key %d: %v, or a different secret", n, err)
		}
		if !login.Principal.Disabled || login.Key.Disabled != (n == 0) {
			t.Errorf("key %d: a change to it or its principal is missing: %+v", n, login)
		}
	}
}

func bootstrap(t *testing.T, d Directory) {
	var made, refused atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			issued, err := access.NewAdministration(d, d, clock).Bootstrap(t.Context())
			switch {
			case err == nil:
				made.Add(1)
				if login, err := d.Login(t.Context(), issued.Key.ID); err != nil || !login.Secret.Equal(issued.Secret.Reveal()) {
					t.Errorf("the first administrator's key doesn't work: %v", err)
				}
			case errors.Is(err, access.ErrExists):
				refused.Add(1)
			default:
				t.Errorf("Bootstrap: %v", err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d first administrators, %d refused; want 1 and 7", made.Load(), refused.Load())
	}
	if n := len(d.Entries()); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}

func concurrent(t *testing.T, d Directory) {
	const changes = 10
	var all sync.WaitGroup
	for n := range changes {
		all.Go(func() {
			name := fmt.Sprintf("p%02d", n)
			err := d.Update(t.Context(), func(c *access.Change) error {
				c.Principals = append(c.Principals, access.Principal{Name: name, CreatedAt: start})
				if len(c.Principals) == changes {
					c.Principals[0].Rules = append(c.Principals[0].Rules, access.Rule{Action: access.Read, Pattern: "all"})
				}
				return nil
			}, rotation.Entry{At: start, Step: "create", Object: name})
			if err != nil {
				t.Errorf("Update: %v", err)
			}
		})
	}
	all.Wait()
	got := principals(t, d)
	if len(got) != changes || len(d.Entries()) != changes {
		t.Fatalf("%d principals and %d entries, want %d of each", len(got), len(d.Entries()), changes)
	}
	var rules int
	for _, p := range got {
		rules += len(p.Rules)
	}
	if rules != 1 {
		t.Errorf("%d changes saw all the others, want only the last one", rules)
	}
}

func used(t *testing.T, d Directory) {
	put(t, d, func(c *access.Change) error {
		p := access.Principal{Name: "a", CreatedAt: start}
		c.AddKey(&p, key(0), access.NewSecret("s"))
		c.AddKey(&p, key(1), access.NewSecret("s"))
		c.Principals = append(c.Principals, p)
		return nil
	})
	for _, at := range []time.Time{start, start.Add(2 * time.Hour), start.Add(time.Hour)} {
		if err := d.MarkUsed(t.Context(), map[string]time.Time{key(0).ID: at, key(5).ID: at}); err != nil {
			t.Fatal(err)
		}
	}
	keys := principals(t, d)[0].Keys
	if !keys[0].UsedAt.Equal(start.Add(2*time.Hour)) || !keys[1].UsedAt.IsZero() {
		t.Errorf("used at %v and %v, want the latest and never", keys[0].UsedAt, keys[1].UsedAt)
	}
	login, err := d.Login(t.Context(), key(0).ID)
	if err != nil || !login.Key.UsedAt.Equal(start.Add(2*time.Hour)) {
		t.Errorf("Login: used at %v (%v)", login.Key.UsedAt, err)
	}
}

func ended(t *testing.T, d Directory) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := d.Update(ctx, func(c *access.Change) error {
		c.Principals = append(c.Principals, access.Principal{Name: "a", CreatedAt: start})
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v, want context.Canceled", err)
	}
	same(t, "principals", principals(t, d), []access.Principal(nil))
}

package access_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/memory"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func administration(t *testing.T) (*access.Administration, *memory.Directory, access.Issued) {
	t.Helper()
	d := &memory.Directory{}
	a := access.NewAdministration(d, d, func() time.Time { return start })
	issued, err := a.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a, d, issued
}

var root = access.Local("root")

func TestOnlyAdministratorsAdminister(t *testing.T) {
	t.Parallel()
	a, d, issued := administration(t)
	before, _ := d.Principals(t.Context())
	rule := access.Rule{Action: access.Read, Pattern: "*"}
	acts := map[string]func(context.Context, access.Caller) error{
		"list":    func(ctx context.Context, c access.Caller) error { _, err := a.Principals(ctx, c); return err },
		"show":    func(ctx context.Context, c access.Caller) error { _, err := a.Principal(ctx, c, "admin"); return err },
		"create":  func(ctx context.Context, c access.Caller) error { return a.Create(ctx, c, "x", rule) },
		"grant":   func(ctx context.Context, c access.Caller) error { return a.Grant(ctx, c, "admin", rule) },
		"revoke":  func(ctx context.Context, c access.Caller) error { return a.Revoke(ctx, c, "admin", rule) },
		"disable": func(ctx context.Context, c access.Caller) error { return a.Disable(ctx, c, "admin") },
		"enable":  func(ctx context.Context, c access.Caller) error { return a.Enable(ctx, c, "admin") },
		"delete":  func(ctx context.Context, c access.Caller) error { return a.Delete(ctx, c, "admin") },
		"create a key": func(ctx context.Context, c access.Caller) error {
			_, err := a.CreateKey(ctx, c, "admin", time.Time{})
			return err
		},
		"disable a key": func(ctx context.Context, c access.Caller) error { return a.DisableKey(ctx, c, issued.Key.ID) },
		"enable a key":  func(ctx context.Context, c access.Caller) error { return a.EnableKey(ctx, c, issued.Key.ID) },
		"delete a key":  func(ctx context.Context, c access.Caller) error { return a.DeleteKey(ctx, c, issued.Key.ID) },
	}
	callers := map[string]access.Caller{
		"nobody": {}, "with other rules": {Principal: "p", From: "192.0.2.1", Rules: []access.Rule{{Action: access.Write, Pattern: "*"}, {Action: access.Audit, Pattern: "*"}}},
		"of some secrets": {Principal: "p", Rules: []access.Rule{{Action: access.Admin, Pattern: "shop/*"}}},
	}
	for who, caller := range callers {
		for what, act := range acts {
			seen := len(d.Entries())
			if err := act(t.Context(), caller); !errors.Is(err, access.ErrDenied) {
				t.Errorf("%s, %s: %v, want ErrDenied", who, what, err)
			}
			entries := d.Entries()[seen:]
			if len(entries) != 1 || entries[0].Outcome != rotation.OutcomeDenied || entries[0].Actor != caller.Principal || entries[0].From != caller.From {
				t.Errorf("%s, %s: entries %+v, want one of a denial", who, what, entries)
			}
		}
	}
	after, _ := d.Principals(t.Context())
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("what was denied changed something:\n%s", diff)
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*access.Administration, access.Issued) error{
		"delete himself": func(a *access.Administration, i access.Issued) error {
			return a.Delete(context.Background(), root, i.Principal)
		},
		"disable himself": func(a *access.Administration, i access.Issued) error {
			return a.Disable(context.Background(), root, i.Principal)
		},
		"delete his key": func(a *access.Administration, i access.Issued) error {
			return a.DeleteKey(context.Background(), root, i.Key.ID)
		},
		"disable his key": func(a *access.Administration, i access.Issued) error {
			return a.DisableKey(context.Background(), root, i.Key.ID)
		},
		"revoke his right": func(a *access.Administration, i access.Issued) error {
			return a.Revoke(context.Background(), root, i.Principal, root.Rules...)
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, d, first := administration(t)
			if err := way(a, first); !errors.Is(err, access.ErrLastAdministrator) {
				t.Fatalf("alone: %v, want ErrLastAdministrator", err)
			}
			// Principals without a key, or whose key has expired, can't log in.
			if err := a.Create(t.Context(), root, "second", root.Rules...); err != nil {
				t.Fatal(err)
			}
			key, err := a.CreateKey(t.Context(), root, "second", start.Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			later := access.NewAdministration(d, d, func() time.Time { return start.Add(time.Hour) })
			if err := way(later, first); !errors.Is(err, access.ErrLastAdministrator) {
				t.Fatalf("with another whose key has expired: %v, want ErrLastAdministrator", err)
			}
			if err := way(a, first); err != nil {
				t.Fatalf("with another: %v", err)
			}
			if err := way(a, key); !errors.Is(err, access.ErrLastAdministrator) {
				t.Fatalf("the other, now alone: %v, want ErrLastAdministrator", err)
			}
		})
	}
}

func TestAdministrationIsAudited(t *testing.T) {
	t.Parallel()
	a, d, _ := administration(t)
	caller := access.Caller{Principal: "anna", From: "192.0.2.7", Rules: root.Rules}
	rules := []access.Rule{{Action: access.Read, Pattern: "shop/*"}, {Action: access.List, Pattern: "shop/*"}}
	if err := a.Create(t.Context(), caller, "app/orders", rules...); err != nil {
		t.Fatal(err)
	}
	issued, err := a.CreateKey(t.Context(), caller, "app/orders", start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.DisableKey(t.Context(), caller, issued.Key.ID); err != nil {
		t.Fatal(err)
	}
	want := []rotation.Entry{
		{At: start, Actor: "anna", From: "192.0.2.7", Step: "create principal", Object: "app/orders", Outcome: rotation.OutcomeSucceeded, Detail: "list:shop/* read:shop/*"},
		{At: start, Actor: "anna", From: "192.0.2.7", Step: "create key", Object: "app/orders", Credential: issued.Key.ID, Outcome: rotation.OutcomeSucceeded, Detail: "expires 2026-03-01T13:00:00Z"},
		{At: start, Actor: "anna", From: "192.0.2.7", Step: "disable key", Credential: issued.Key.ID, Outcome: rotation.OutcomeSucceeded},
	}
	if diff := cmp.Diff(want, d.Entries()[1:]); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestRefusedInput(t *testing.T) {
	t.Parallel()
	a, d, issued := administration(t)
	ctx := t.Context()
	before := len(d.Entries())
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"a name that is taken":         {a.Create(ctx, root, "admin"), "exists already"},
		"a name of another kind":       {a.Create(ctx, root, "oidc:gitlab:x"), "is not a valid name"},
		"a wrong rule":                 {a.Create(ctx, root, "x", access.Rule{Action: "raed", Pattern: "*"}), `did you mean "read"?`},
		"granting nothing":             {a.Grant(ctx, root, "admin"), "no rule given"},
		"revoking nothing":             {a.Revoke(ctx, root, "admin"), "no rule given"},
		"revoking what is not there":   {a.Revoke(ctx, root, "admin", access.Rule{Action: access.Admin, Pattern: "x"}), `did you mean "admin:*"?`},
		"a mistyped principal":         {a.Disable(ctx, root, "admni"), `did you mean "admin"?`},
		"a key that is not there":      {a.DeleteKey(ctx, root, "ROTAAAAAAAAAAAAAAAAA"), "not found"},
		"a token in place of its id":   {a.DeleteKey(ctx, root, issued.Token()), "isn't a key id"},
		"a key that has expired":       {second(a.CreateKey(ctx, root, "admin", start)), "in the past"},
		"a key of nobody":              {second(a.CreateKey(ctx, root, "nobody-there", time.Time{})), "not found"},
		"a second first administrator": {second(a.Bootstrap(ctx)), "exists already"},
	} {
		if c.err == nil || !strings.Contains(hint.Text(c.err), c.want) || len(rota.RemediesOf(c.err)) == 0 {
			t.Errorf("%s: %v, want %q and a hint", name, c.err, c.want)
		}
		if c.err != nil && strings.Contains(c.err.Error(), issued.Secret.Reveal()) {
			t.Errorf("%s: the error shows the secret", name)
		}
	}
	if n := len(d.Entries()); n != before {
		t.Errorf("%d entries of what was not done", n-before)
	}
	all, err := a.Principals(ctx, root)
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Rules, root.Rules) || len(all[0].Keys) != 1 {
		t.Errorf("refused input changed something: %+v, %v", all, err)
	}
}

func second[T any](_ T, err error) error { return err }

package client_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
)

func TestAChain(t *testing.T) {
	away := errors.New("away")
	for name, c := range map[string]struct {
		prepare func(first, second *clienttest.Source)
		want    string
		err     error
	}{
		"the first has it":      {func(a, b *clienttest.Source) { a.Set(db, fields("a")); b.Set(db, fields("b")) }, "a", nil},
		"the second has it":     {func(_, b *clienttest.Source) { b.Set(db, fields("b")) }, "b", nil},
		"the first is away":     {func(a, b *clienttest.Source) { a.Fail(away); b.Set(db, fields("b")) }, "b", nil},
		"denied by the first":   {func(a, b *clienttest.Source) { a.Deny(db, true); b.Set(db, fields("b")) }, "", client.ErrDenied},
		"nobody has it":         {func(_, _ *clienttest.Source) {}, "", client.ErrNotFound},
		"nobody is there":       {func(a, b *clienttest.Source) { a.Fail(away); b.Fail(away) }, "", away},
		"one might yet have it": {func(a, _ *clienttest.Source) { a.Fail(away) }, "", away},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := clienttest.NewSource(), clienttest.NewSource()
			c.prepare(first, second)
			v, err := client.Chain(first, second).Fetch(t.Context(), client.Request{Secret: db})
			if v.Field("password") != c.want || !errors.Is(err, c.err) || c.want == "" && err == nil {
				t.Errorf("%v, %v", v, err)
			}
			if errors.Is(c.err, away) && errors.Is(err, client.ErrNotFound) {
				t.Errorf("%v: nobody would ask again", err)
			}
		})
	}
}

func TestAChainFollowsAllThatPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second, third := clienttest.NewSource(), clienttest.NewSource(), client.Static{"fixed": client.TextValue("v1", "fixed")}
		first.Set("a", fields("one"))
		second.Set("b", fields("one"))
		c := open(t, client.Options{Source: client.Chain(first, third, second)})
		a, b := c.Secret("a"), c.Secret("b")
		password(t, a)
		password(t, b)
		synctest.Wait()
		first.Set("a", fields("two"))
		second.Set("b", fields("two"))
		synctest.Wait()
		if password(t, a) != "two" || password(t, b) != "two" {
			t.Errorf("%s, %s", password(t, a), password(t, b))
		}
		first.Fail(errors.New("gone")) // ends one, and begins again with all
		first.Fail(nil)
		time.Sleep(time.Minute)
		second.Set("b", fields("three"))
		synctest.Wait()
		if password(t, b) != "three" {
			t.Errorf("%s", password(t, b))
		}
	})
}

func TestStaticValues(t *testing.T) {
	s := open(t, client.Options{Source: client.Static{db: client.NewValue("v1", fields("one"))}}).Secret(db)
	if got := password(t, s); got != "one" {
		t.Errorf("password %q", got)
	}
	if other := s.Other(t.Context(), mustGet(t, s)); !other.IsZero() {
		t.Errorf("another value: %v", other)
	}
}

func mustGet(t *testing.T, s *client.Secret) client.Value {
	t.Helper()
	v, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

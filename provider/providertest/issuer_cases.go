package providertest

import (
	"errors"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
)

func testTraits(t T, i *issuer) {
	traits := i.Issuer.Traits()
	if err := rota.ValidateIssuer(i.Issuer); err != nil {
		t.Error(err)
	}
	i.valid(t)
	if diff := cmp.Diff(traits, i.Issuer.Traits()); diff != "" {
		t.Errorf("traits changed:\n%s", diff)
	}
}

func testCredentialID(t T, i *issuer) {
	if id := i.Issuer.CredentialID(rota.Credential{}); id != "" {
		t.Errorf("a credential without fields has the id %q", id)
	}
	c := i.create(t)
	if c.IsZero() {
		t.Fatal("create gives a credential without fields")
	}
	id := i.Issuer.CredentialID(c)
	if id == "" {
		t.Fatal("a created credential has no id")
	}
	for name, value := range c.Fields() {
		if value == "" {
			t.Errorf("field %s of a created credential is empty", name)
		}
	}
	if again := i.Issuer.CredentialID(rota.NewCredential(c.Fields())); again != id {
		t.Errorf("the id of the same credential is %q, then %q", id, again)
	}
}

func testCreateSetTest(t T, i *issuer) {
	i.valid(t)
}

func testSetTwice(t T, i *issuer) {
	c := i.valid(t)
	i.set(t, c)
	i.set(t, c)
	i.works(t, c)
}

func testCreateTouchesNothing(t T, i *issuer) {
	inUse := i.valid(t)
	next := i.create(t)
	if next.Equal(inUse) {
		t.Fatal("create gave the same credential twice")
	}
	i.refused(t, next)
	i.works(t, inUse)
	i.listed(t, i.Issuer.CredentialID(inUse), "active")
}

func testWrongRefused(t T, i *issuer) {
	c := i.valid(t)
	wrong := i.wrong(c)
	if wrong.Equal(c) {
		t.Fatal("the fixture's wrong credential is the right one")
	}
	i.refused(t, wrong)
	i.works(t, c)
}

func testInForce(t T, i *issuer) {
	teller := i.Issuer.(rota.Teller)
	c := i.valid(t)
	wrong := i.wrong(c)
	says := func(what string, asked rota.Credential, want bool) {
		t.Helper()
		inForce, known, err := teller.InForce(t.Context(), asked)
		if i.seen(t, err, wrong) != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if known && inForce != want {
			t.Errorf("%s: in force %t, want %t", what, inForce, want)
		}
	}
	says("what logs in", c, true)
	says("what was never issued", wrong, false)
	i.works(t, c) // asking changed nothing
	if !i.Issuer.Traits().Overlap() {
		next := i.valid(t)
		says("what was replaced", c, false)
		says("what replaced it", next, true)
	}
}

func testOverlap(t T, i *issuer) {
	first := i.valid(t)
	second := i.valid(t)
	if first.Equal(second) {
		t.Fatal("two credentials are the same")
	}
	if !i.Issuer.Traits().Overlap() {
		i.refused(t, first)
		i.works(t, second)
		return
	}
	if i.Issuer.CredentialID(first) == i.Issuer.CredentialID(second) {
		t.Errorf("both credentials have the id %s", i.Issuer.CredentialID(first))
	}
	i.works(t, first)
	i.works(t, second)
}

func testLimit(t T, i *issuer) {
	limit := i.Issuer.Traits().Limit
	for range limit {
		i.valid(t)
	}
	c, err := i.Issuer.Create(t.Context(), i.createRequest())
	if !errors.Is(i.seen(t, err), rota.ErrLimit) {
		t.Errorf("one more than %d: want %q, got %v", limit, rota.ErrLimit, err)
	}
	if err != nil && !c.IsZero() {
		t.Error("a create that failed gives a credential")
	}
	for _, c := range i.made {
		i.works(t, c)
	}
}

func testRejected(t T, i *issuer) {
	c := i.create(t)
	bad := i.Rejected(c)
	err := i.seen(t, i.Issuer.Set(t.Context(), i.setRequest(bad)), bad)
	if err == nil {
		t.Fatal("a value that the rules reject was set")
	}
	if class := rota.ClassOf(err); class != rota.ClassRegenerate {
		t.Errorf("its error is of class %q, want %q: %v", class, rota.ClassRegenerate, err)
	}
	i.refused(t, bad)
	i.set(t, c)
	i.works(t, c)
}

// testLife takes one credential through its whole life, next to another that
// must stay untouched. If only one credential can exist, setting its successor
// ends its life.
func testLife(t T, i *issuer) {
	other := i.valid(t)
	c := i.valid(t)
	id := i.Issuer.CredentialID(c)
	retire := i.retireRequest(id)
	i.listed(t, id, "active")

	if d, ok := i.Issuer.(rota.Deactivator); ok {
		must := func(what string, err error) {
			t.Helper()
			if i.seen(t, err) != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		must("deactivate", d.Deactivate(t.Context(), retire))
		must("deactivate what is inactive", d.Deactivate(t.Context(), retire))
		i.refused(t, c)
		i.listed(t, id, "inactive")
		must("reactivate", d.Reactivate(t.Context(), retire))
		must("reactivate what is active", d.Reactivate(t.Context(), retire))
		i.works(t, c)
		i.listed(t, id, "active")
		must("deactivate again", d.Deactivate(t.Context(), retire))
		i.refused(t, c)
		i.listed(t, id, "inactive")
	}
	if err := i.seen(t, i.delete(t.Context(), id)); err != nil {
		t.Fatalf("delete: %v", err)
	}
	i.refused(t, c)
	i.listed(t, id, "gone")
	if err := i.seen(t, i.delete(t.Context(), id)); err != nil {
		t.Errorf("delete what is gone: %v", err)
	}
	i.notFound(t, id)

	i.works(t, other)
	i.listed(t, i.Issuer.CredentialID(other), "active")
}

func testLifetime(t T, i *issuer) {
	c := i.valid(t)
	if c.ExpiresAt().IsZero() {
		t.Errorf("the credential has no %s in RFC 3339: its fields are %v", rota.FieldExpiration, c.Names())
	}
	if err := i.seen(t, i.delete(t.Context(), i.Issuer.CredentialID(c))); err != nil {
		t.Errorf("delete: %v", err)
	}
	if i.Issuer.Traits().Revocable {
		i.refused(t, c)
	} else {
		i.works(t, c)
	}
	if is[rota.Deactivator](i.Issuer) || is[rota.Lister](i.Issuer) {
		t.Error("the issuer lists, or switches off, what ends by itself: the planner would not ask it")
	}
}

func testExpiry(t T, i *issuer) {
	c := i.valid(t)
	i.Expire(goTest(t))
	i.refused(t, c)
	i.valid(t)
}

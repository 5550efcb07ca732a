package providertest

import (
	"errors"

	"github.com/rota-dev/rota"
)

// notFound checks that a deleted credential can't be switched.
func (i *issuer) notFound(t T, id string) {
	t.Helper()
	d, ok := i.Issuer.(rota.Deactivator)
	if !ok {
		return
	}
	if err := i.seen(t, d.Deactivate(t.Context(), i.retireRequest(id))); !errors.Is(err, rota.ErrNotFound) {
		t.Errorf("deactivate what is gone: want %q, got %v", rota.ErrNotFound, err)
	}
	if err := i.seen(t, d.Reactivate(t.Context(), i.retireRequest(id))); !errors.Is(err, rota.ErrNotFound) {
		t.Errorf("reactivate what is gone: want %q, got %v", rota.ErrNotFound, err)
	}
}

func testDeleteActive(t T, i *issuer) {
	c := i.valid(t)
	id := i.Issuer.CredentialID(c)
	i.listed(t, id, "active")
	if err := i.seen(t, i.delete(t.Context(), id)); !errors.Is(err, rota.ErrConflict) {
		t.Errorf("delete an active one: want %q, got %v", rota.ErrConflict, err)
	}
	i.works(t, c)
	i.listed(t, id, "active")
}

func testUnknown(t T, i *issuer) {
	if err := i.seen(t, i.delete(t.Context(), i.UnknownID)); err != nil {
		t.Errorf("delete what never was: %v", err)
	}
	i.notFound(t, i.UnknownID)
}

func testList(t T, i *issuer) {
	c := i.valid(t)
	i.listed(t, i.Issuer.CredentialID(c), "active")
	list, err := i.Issuer.(rota.Lister).List(t.Context())
	if i.seen(t, err) != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		if x.ID == "" {
			t.Error("the list has a credential without id")
		}
		if x.Use.Evidence != "" || !x.Use.At.IsZero() || x.Use.Detail != "" {
			t.Errorf("the list fills in the use of %s", x.ID)
		}
	}
}

func testUse(t T, i *issuer) {
	reporter := i.Issuer.(rota.UseReporter)
	c := i.valid(t)
	id := i.Issuer.CredentialID(c)
	use, err := reporter.LastUsed(t.Context(), id)
	if i.seen(t, err) != nil {
		t.Fatalf("last use: %v", err)
	}
	switch use.Evidence {
	case rota.EvidenceUnknown, rota.EvidenceSampled, rota.EvidenceRecorded:
	default:
		t.Errorf("evidence is %q", use.Evidence)
	}
	if use.Evidence == rota.EvidenceUnknown && !use.At.IsZero() {
		t.Errorf("evidence is unknown, but the last use at %s", use.At)
	}
	if i.UnknownID != "" {
		use, err := reporter.LastUsed(t.Context(), i.UnknownID)
		if i.seen(t, err) == nil && use.Evidence != rota.EvidenceUnknown {
			t.Errorf("what never was has evidence %q of use", use.Evidence)
		}
	}
	if i.Use == nil {
		return
	}
	i.Use(goTest(t), c)
	i.until(t, "reporting the use", func() error {
		use, err := reporter.LastUsed(t.Context(), id)
		if i.seen(t, err) != nil {
			return err
		}
		if use.At.IsZero() {
			return errors.New("never seen")
		}
		return nil
	})
}

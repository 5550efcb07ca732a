package vaulttest

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

// Suite is what every Vault has to pass.
func Suite(t *testing.T, b Backend) {
	t.Run("the target keeps the contract", func(t *testing.T) { suiteTarget(t, b) })
	t.Run("other writers' keys stay", func(t *testing.T) { suiteOthers(t, b) })
	t.Run("what happened to an entry before", func(t *testing.T) { suitePast(t, b) })
	t.Run("an engine of the other version is refused", func(t *testing.T) { suiteVersions(t, b) })
	t.Run("what stands in the way is named", func(t *testing.T) { suiteDenied(t, b) })
	t.Run("secret ids keep the contract", func(t *testing.T) { suiteSecretIDs(t, b) })
	t.Run("leases keep the contract", func(t *testing.T) { suiteLeases(t, b) })
	t.Run("the store keeps the contract", func(t *testing.T) { suiteStore(t, b) })
	t.Run("the store outlives what people do to its entries", func(t *testing.T) { suiteStoreHistory(t, b) })
	t.Run("static roles keep the contract", func(t *testing.T) { suiteStaticRoles(t, b) })
}

// Wrong checks an error and that it comes with a remedy, and that parts are in its
// text or its remedies.
func Wrong(t testing.TB, err error, class rota.Class, parts ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	text := err.Error() + " | " + rota.Hint(rota.RemediesOf(err))
	if got := rota.ClassOf(err); got != class {
		t.Errorf("class %s, want %s: %s", got, class, text)
	}
	if len(rota.RemediesOf(err)) == 0 {
		t.Errorf("no remedy: %s", text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q isn't in: %s", part, text)
		}
	}
	if strings.Contains(text, "canary") {
		t.Errorf("a value is in: %s", text)
	}
}

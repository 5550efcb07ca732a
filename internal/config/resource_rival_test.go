package config

import (
	"context"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
)

// wireShop wires the resources with Secrets of Kubernetes that hold these values.
func wireShop(t *testing.T, values map[string]string, resources ...*Resource) *Wired {
	t.Helper()
	got := compile(t, resources...)
	if len(got.Invalid) > 0 {
		t.Fatalf("invalid: %v", got.Invalid)
	}
	wired, err := got.File.Wire(t.Context(), Environment{
		LookupEnv: func(string) (string, bool) { return "x", true },
		OwnStore:  func(string) rota.Store { return memory.NewStore(memory.Options{}) },
		KubernetesSecret: func(namespace, name, key string) (string, error) {
			if value := values[namespace+"/"+name+"#"+key]; value != "" {
				return value, nil
			}
			return "x", nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = wired.Close() })
	return wired
}

func TestAReferenceCantBreakAnotherNamespacesSecret(t *testing.T) {
	for _, c := range []struct{ name, connection, role string }{
		{"through its role", `{postgres: {host: bank-db, database: app, username: rota, password: x}}`, "${kubernetes:db#role}"},
		{"through another database", `{postgres: {host: bank-db, port: 5432, database: other, username: rota, password: x}}`, "${kubernetes:db#role}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			values := map[string]string{"shop/db#role": "ledger"}
			// The intruder is older than what it gets in the way of.
			intruder := resource(t, RotatingSecret, "shop/x", `{issuer: {connection: mine, password: {role: "`+c.role+`"}}, policy: {rotate_every: 30d}}`)
			wired := wireShop(t, values, append([]*Resource{resource(t, NamespacedLogin, "shop/mine", c.connection), intruder}, shopWorld(t)...)...)
			if err := wired.Broken["bank/ledger"]; err != nil {
				t.Errorf("the other namespace's is broken: %v", err)
			}
			if err := wired.Broken["shop/x"]; err == nil || !strings.Contains(err.Error(), "is also used by secret") {
				t.Errorf("the intruder: %v", err)
			}
		})
	}
}

func TestANamespacesOwnServerHoldsNobodyElsesSecret(t *testing.T) {
	// Its server may say that it's anybody's.
	intruder := resource(t, RotatingSecret, "shop/x", `{issuer: {connection: mine, password: {role: ledger}}, policy: {rotate_every: 30d}}`)
	mine := resource(t, NamespacedLogin, "shop/mine", `{postgres: {host: elsewhere, database: app, username: rota, password: x}}`)
	shared := resource(t, ClusterConnection, "bank", `{postgres: {host: bank-db, database: app, username: rota, password: x}}`)
	shared.Grants = granted("bank")
	victim := resource(t, RotatingSecret, "bank/ledger", `{issuer: {connection: bank, password: {role: ledger}}, policy: {rotate_every: 30d}}`)
	wired := wireShop(t, nil, mine, intruder, shared, victim)
	if wired.ByName["bank/ledger"].Rivals != nil {
		t.Errorf("the other namespace's is held by %v", wired.ByName["bank/ledger"].Rivals(context.Background()))
	}
	if wired.ByName["shop/x"].Rivals == nil {
		t.Error("the intruder isn't held")
	}
}

func TestAnEditDoesntLoseASecretWhatItHas(t *testing.T) {
	// The intruder is older, and asks for the same while the other's owner edits it.
	intruder := resource(t, RotatingSecret, "shop/x", `{issuer: {connection: shared, password: {role: ledger}}, policy: {rotate_every: 30d}}`)
	intruder.LastValid = resource(t, RotatingSecret, "shop/x", `{issuer: {connection: shared, password: {role: decoy}}, policy: {rotate_every: 30d}}`).Spec
	shared := resource(t, ClusterConnection, "shared", `{postgres: {host: db, database: app, username: rota, password: x}}`)
	shared.Grants, shared.Accepted = granted("shop", "bank"), true
	for name, spec := range map[string]string{
		"valid":   `{issuer: {connection: shared, password: {role: ledger}}, policy: {rotate_every: 7d}}`,
		"invalid": `{issuer: {connection: shared, password: {rle: ledger}}, policy: {rotate_every: 7d}}`,
	} {
		t.Run(name, func(t *testing.T) {
			victim := resource(t, RotatingSecret, "bank/ledger", spec)
			victim.LastValid = resource(t, RotatingSecret, "bank/ledger", `{issuer: {connection: shared, password: {role: ledger}}, policy: {rotate_every: 30d}}`).Spec
			got := compile(t, shared, intruder, victim)
			if wrong := got.Invalid[victim.ID()]; len(wrong) > 0 == (name == "valid") || !strings.Contains(strings.Join(got.File.Names(), " "), "bank/ledger") {
				t.Errorf("the one that has it: %v, in force %v", wrong, got.File.Names())
			}
			if len(got.Invalid[intruder.ID()]) == 0 || !got.Outdated[intruder.ID()] {
				t.Errorf("the intruder: %v", got.Invalid[intruder.ID()])
			}
		})
	}
}

func TestALargeResourceLeavesRoomForOthers(t *testing.T) {
	names := `"` + strings.Repeat("x\n", 300_000) + `"`
	var all []*Resource
	for _, name := range []string{"shop/a", "shop/b", "shop/c", "shop/d", "shop/e", "shop/f", "shop/g"} {
		large := resource(t, RotatingSecret, name, `{issuer: {secret_key: {}}}`)
		large.Spec["owner"] = names
		all = append(all, large)
	}
	small := resource(t, RotatingSecret, "bank/key", `{issuer: {secret_key: {}}, policy: {rotate_every: 30d}}`)
	got := compile(t, append(all, small)...)
	if wrong := got.Invalid[small.ID()]; len(wrong) > 0 {
		t.Errorf("the small one: %v", wrong)
	}
	if wrong := got.Invalid[all[0].ID()]; len(wrong) != 1 || !strings.Contains(wrong[0].Message, "more than 20000 lines") {
		t.Errorf("a large one: %d problems", len(wrong))
	}
}

package rotation_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// placed is an issuer that knows where its database is.
type placed struct{ *memory.Password }

func (placed) Complete(c rota.Credential) rota.Credential {
	all := map[string]string{"host": "db.internal", rota.FieldUsername: "orders"}
	maps.Copy(all, c.Fields())
	return rota.NewCredential(all)
}

// stuffed is a secret whose stored credential logs in and has more fields.
func stuffed(t *testing.T, version string, more map[string]string) *bench {
	t.Helper()
	b := newBench(t)
	role := memory.NewPassword("orders", memory.RolesOptions{})
	fields := role.Plant("orders", "right").Fields()
	maps.Copy(fields, more)
	b.secret.Issuer, b.secret.Fields = placed{role}, []string{rota.FieldUsername, rota.FieldPassword, "host"}
	b.store.Plant(version, rota.NewCredential(fields), rota.LabelCurrent)
	return b
}

func TestOnlyTheIssuersFieldsReachTargets(t *testing.T) {
	b := stuffed(t, "by-hand", map[string]string{"LD_PRELOAD": "/tmp/evil.so", "BASH_ENV": "/tmp/evil", "host": "db.internal"})
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.rotator.Redeliver(t.Context(), b.secret); err != nil {
		t.Fatal(err)
	}
	got, ok := b.target.Current()
	if want := []string{"host", rota.FieldPassword, rota.FieldUsername}; !ok || !slices.Equal(got.Credential.Names(), want) {
		t.Errorf("the target got %v, want %v", got.Credential, want)
	}
}

func TestAnAdoptedCredentialThatWasHandedInKeepsOnlyTheIssuersFields(t *testing.T) {
	b := stuffed(t, "by-hand", nil)
	given := rota.NewCredential(map[string]string{rota.FieldPassword: "right", "LD_PRELOAD": "/tmp/evil.so"})
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: given}); err != nil {
		t.Fatal(err)
	}
	_, got, _ := b.store.Read(rota.LabelCurrent)
	if want := []string{"host", rota.FieldPassword, rota.FieldUsername}; !slices.Equal(got.Names(), want) {
		t.Errorf("the store got %v, want %v", got.Names(), want)
	}
}

func TestACredentialThatLeadsElsewhereIsNotAdopted(t *testing.T) {
	elsewhere := map[string]string{"host": "evil.example"}
	b := stuffed(t, "by-hand", elsewhere)
	_, stored := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{})
	_, given := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: rota.NewCredential(map[string]string{rota.FieldPassword: "right", "host": "evil.example"})})
	for _, err := range []error{stored, given} {
		if err == nil || !strings.Contains(err.Error(), "host isn't db.internal") || len(rota.RemediesOf(err)) == 0 {
			t.Errorf("got %v, want a refusal with a remedy", err)
		}
		if err != nil && strings.Contains(err.Error(), "evil") {
			t.Errorf("%v shows what the store holds", err)
		}
	}
	if v, _, _ := b.store.Read(rota.LabelAdopted); v != "" {
		t.Errorf("%s was adopted", v)
	}
}

// An entry that doesn't say where to log in sends nobody elsewhere.
func TestACredentialThatDoesntSayWhereIsAdopted(t *testing.T) {
	b := stuffed(t, "by-hand", nil)
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{}); err != nil {
		t.Error(err)
	}
}

func TestAVersionThatReloadCommandsWouldStumbleOverIsNotAdopted(t *testing.T) {
	b := stuffed(t, "$(touch /tmp/x)", nil)
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{}); err == nil || len(rota.RemediesOf(err)) == 0 {
		t.Errorf("got %v, want a refusal with a remedy", err)
	}
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: rota.NewCredential(map[string]string{rota.FieldPassword: "right"})}); err != nil {
		t.Errorf("handed in: %v", err)
	}
}

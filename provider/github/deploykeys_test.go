package github_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/github/githubtest"
	"github.com/rota-dev/rota/provider/providertest"
)

func deployKeys(connection *github.Connection) *github.DeployKeys {
	return &github.DeployKeys{Connection: connection, Owner: "shop", Repository: "api", Title: "mirror"}
}

func TestTheIssuerConforms(t *testing.T) {
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		server, connection := start(t)
		issuer := deployKeys(connection)
		return providertest.IssuerFixture{
			Issuer: issuer, UnknownID: "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", PublicFields: []string{github.FieldPublicKey},
			Inject: server.Inject(map[string]string{"set": "POST /keys", "test": "GET /keys", "list": "GET /keys", "delete": "DELETE /keys/"}),
			Wrong: func(c rota.Credential) rota.Credential {
				other, err := issuer.Create(t.Context(), rota.CreateRequest{})
				if err != nil {
					t.Fatal(err)
				}
				return rota.NewCredential(map[string]string{github.FieldPrivateKey: other.Field(github.FieldPrivateKey), github.FieldPublicKey: c.Field(github.FieldPublicKey)})
			},
			Use: func(_ *testing.T, c rota.Credential) { server.UseDeployKey(c.Field(github.FieldPublicKey)) },
		}
	})
}

func made(t *testing.T, d *github.DeployKeys) rota.Credential {
	t.Helper()
	c, err := d.Create(t.Context(), rota.CreateRequest{})
	if err == nil {
		err = d.Set(t.Context(), rota.SetRequest{Credential: c})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestADeployKeyIsAsAskedFor(t *testing.T) {
	for _, writable := range []bool{false, true} {
		server, connection := start(t)
		d := deployKeys(connection)
		d.Writable = writable
		c := made(t, d)
		signer, err := ssh.ParsePrivateKey([]byte(c.Field(github.FieldPrivateKey)))
		if err != nil {
			t.Fatal(err)
		}
		list := server.DeployKeys("shop/api")
		if len(list) != 1 || list[0].Title != "mirror" || list[0].ReadOnly == writable || list[0].Key != strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) || signer.PublicKey().Type() != ssh.KeyAlgoED25519 {
			t.Errorf("it is %+v", list)
		}
		d.Writable = !writable
		if err := d.Set(t.Context(), rota.SetRequest{Credential: c}); err == nil || !strings.Contains(err.Error(), "other rights") {
			t.Errorf("with other rights: %v", err)
		}
	}
}

// Keys of other titles, and those of other secrets, are left alone.
func TestKeysOfOtherTitlesAreNobodysBusiness(t *testing.T) {
	server, connection := start(t)
	d := deployKeys(connection)
	c, err := d.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	server.AddDeployKey("shop/api", githubtest.DeployKey{Title: "ann's", Key: c.Field(github.FieldPublicKey)})
	server.AddDeployKey("shop/api", githubtest.DeployKey{Title: "mirror", Key: "ssh-dss nonsense"})
	if list, err := d.List(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("it lists %+v (%v)", list, err)
	}
}

func TestAKeyThatGitHubDoesNotLetInIsRefused(t *testing.T) {
	server, connection := start(t)
	d := deployKeys(connection)
	c := made(t, d)
	for name, change := range map[string]func(*githubtest.DeployKey){
		"off":        func(k *githubtest.DeployKey) { k.Disabled, k.Unverified = true, false },
		"unverified": func(k *githubtest.DeployKey) { k.Disabled, k.Unverified = false, true },
	} {
		server.ChangeDeployKey(c.Field(github.FieldPublicKey), change)
		if err := d.Test(t.Context(), rota.TestRequest{Credential: c}); !errors.Is(err, rota.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		if ok, known, err := d.InForce(t.Context(), c); ok || !known || err != nil {
			t.Errorf("%s: in force %v, %v, %v", name, ok, known, err)
		}
	}
}

func TestAKeyInAnotherRepositoryIsNotTakenForOurs(t *testing.T) {
	server, connection := start(t)
	d := deployKeys(connection)
	c, err := d.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	server.AddDeployKey("shop/web", githubtest.DeployKey{Title: "mirror", Key: c.Field(github.FieldPublicKey)})
	err = d.Set(t.Context(), rota.SetRequest{Credential: c})
	if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), "key is already in use") || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "one repository only") {
		t.Errorf("got %v (%s)", err, rota.Hint(rota.RemediesOf(err)))
	}
}

// Where GitHub doesn't record the use, a key counts as used.
func TestAnOldServerShowsNoUse(t *testing.T) {
	server, connection := start(t)
	d := deployKeys(connection)
	c := made(t, d)
	for _, c2 := range []struct {
		do   func()
		want rota.Evidence
		used bool
	}{
		{func() {}, rota.EvidenceRecorded, false},
		{func() { server.UseDeployKey(c.Field(github.FieldPublicKey)) }, rota.EvidenceRecorded, true},
		{server.SetOld, rota.EvidenceUnknown, false},
	} {
		c2.do()
		if use, err := d.LastUsed(t.Context(), d.CredentialID(c)); err != nil || use.Evidence != c2.want || use.At.IsZero() == c2.used || time.Since(use.At) < -time.Minute {
			t.Errorf("it says %+v (%v)", use, err)
		}
	}
}

// The connection's own login may be bad while the secret's key is good: nobody may
// take that for a refusal of the key.
func TestABadConnectionIsNoRefusal(t *testing.T) {
	server, connection := start(t)
	c := made(t, deployKeys(connection))
	for token, want := range map[string]string{"github_pat_wrong": "the connection's login is not valid", server.AddToken(githubtest.Token{Permissions: map[string]string{}}): "403"} {
		d := deployKeys(connect(t, server, github.Config{Token: token}))
		_, listErr := d.List(t.Context())
		for op, err := range map[string]error{
			"set": d.Set(t.Context(), rota.SetRequest{Credential: c}), "test": d.Test(t.Context(), rota.TestRequest{Credential: c}), "list": listErr,
			"delete": d.Delete(t.Context(), rota.RetireRequest{CredentialID: d.CredentialID(c)}),
		} {
			if err == nil || errors.Is(err, rota.ErrRefused) || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), want) || len(rota.RemediesOf(err)) == 0 || !strings.HasPrefix(err.Error(), "github test: ") {
				t.Errorf("%s: %v", op, err)
			}
		}
	}
}

// After its title was changed in rota.yaml, a key isn't in the list anymore. It isn't
// gone, and nothing says that it's unused.
func TestADeployKeyOfAnotherTitleIsNotEnded(t *testing.T) {
	_, connection := start(t)
	keys := &github.DeployKeys{Connection: connection, Owner: "shop", Repository: "api"}
	c, err := keys.Create(t.Context(), rota.CreateRequest{})
	if err == nil {
		err = keys.Set(t.Context(), rota.SetRequest{Credential: c})
	}
	if err != nil {
		t.Fatal(err)
	}
	renamed := *keys
	renamed.Title = "another"
	if err := renamed.Delete(t.Context(), rota.RetireRequest{CredentialID: keys.CredentialID(c)}); rota.ClassOf(err) != rota.ClassStop {
		t.Errorf("it says %v", err)
	}
	if err := keys.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
		t.Errorf("the key is gone: %v", err)
	}
}

package vault_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/vault"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
)

// answering is a server that answers every request alike.
func answering(t *testing.T, status int, text string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"errors": [%q]}`, text)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestALoginThatCantSucceedYetIsTriedAgain(t *testing.T) {
	jwt := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(jwt, []byte("eyJ-canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	kubernetes := vault.JWTLogin{Mount: "kubernetes", Role: "rota", File: jwt}
	approle := vault.AppRoleLogin{Mount: "approle", RoleID: "id", SecretID: "secret-canary"}
	for name, c := range map[string]struct {
		status int
		text   string
		login  vault.Login
		class  rota.Class
		want   []string
	}{
		"not initialized":                            {400, "Vault is not initialized", approle, rota.ClassWait, []string{"not initialized", "initialize and unseal"}},
		"not initialized, and a token":               {400, "Vault is not initialized", vault.Token("hvs.canary"), rota.ClassWait, []string{"initialize and unseal"}},
		"sealed":                                     {503, "Vault is sealed", approle, rota.ClassWait, []string{"unseal"}},
		"Kubernetes can't be asked":                  {403, "permission denied", kubernetes, rota.ClassWait, []string{"login is not valid", "token_reviewer_jwt", "auth/kubernetes"}},
		"Kubernetes can't be asked, in a list":       {403, "1 error occurred:\n\t* permission denied\n\n", kubernetes, rota.ClassWait, []string{"token_reviewer_jwt"}},
		"a service account that the role leaves out": {403, "service account name not authorized", kubernetes, rota.ClassStop, []string{"not authorized", "the role that Vault has for it"}},
		"a role that isn't there":                    {400, `invalid role name "rota"`, kubernetes, rota.ClassStop, []string{"invalid role name"}},
		"a wrong secret id":                          {400, "invalid role or secret ID", approle, rota.ClassStop, []string{"login is not valid"}},
		"no AppRole there":                           {403, "permission denied", approle, rota.ClassStop, []string{"login is not valid", "auth/approle"}},
	} {
		t.Run(name, func(t *testing.T) {
			x := &vault.KV{Connection: connect(t, vault.Config{Address: answering(t, c.status, c.text), Login: c.login}), Entry: vault.Entry{Mount: "secret", Path: "app", Version: 2}}
			vaulttest.Wrong(t, deliver(t.Context(), x), c.class, append(c.want, "vault main")...)
		})
	}
}

func TestARequestThatVaultRefusesHasARemedy(t *testing.T) {
	_, b := start(t)
	connection, proxy := b.Connect(t, vault.Token(b.Token))
	s := &vault.SecretIDs{Connection: connection, Mount: "approle", Role: "orders"}
	for _, status := range []int{http.StatusBadRequest, http.StatusUnprocessableEntity} {
		proxy.Answer("LIST", "/secret-id", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"errors": ["something is wrong"]}`))
		})
		_, err := s.List(t.Context())
		vaulttest.Wrong(t, err, rota.ClassStop, "something is wrong", "auth/approle/role/orders/secret-id")
	}
}

// A KV engine that was mounted or upgraded a moment ago isn't ready yet.
func TestAnEngineThatIsBeingUpgradedIsWaitedFor(t *testing.T) {
	_, b := start(t)
	connection, proxy := b.Connect(t, vault.Token(b.Token))
	target := entry(t, b, connection)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		proxy.Answer(method, "/data/", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"errors": ["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."]}`))
		})
		err := deliver(t.Context(), target)
		if rota.ClassOf(err) != rota.ClassWait || !strings.Contains(err.Error(), "Upgrading") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, of class %s", method, err, rota.ClassOf(err))
		}
	}
	if err := deliver(t.Context(), target); err != nil {
		t.Error(err)
	}
}

// A request that a control group has to approve is answered with success, and nothing
// is done.
func TestAnAnswerThatVaultWrapsIsNoSuccess(t *testing.T) {
	_, b := start(t)
	connection, proxy := b.Connect(t, vault.Token(b.Token))
	wrapped := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"data": null, "wrap_info": {"token": "hvs.wrapping-canary", "accessor": "a", "ttl": 86400}}`))
	}
	target := entry(t, b, connection)
	proxy.Answer(http.MethodPost, "/data/", wrapped)
	vaulttest.Wrong(t, deliver(t.Context(), target), rota.ClassStop, "control group", "control_group and min_wrapping_ttl", "create and update on")
	s := &vault.SecretIDs{Connection: connection, Mount: "approle", Role: "orders"}
	proxy.Answer("LIST", "/secret-id", wrapped)
	_, err := s.List(t.Context())
	vaulttest.Wrong(t, err, rota.ClassStop, "control group", "list on auth/approle/role/orders/secret-id")
}

func TestAServerThatLagsBehindIsWaitedFor(t *testing.T) {
	for status, want := range map[int]rota.Class{http.StatusPreconditionFailed: rota.ClassWait, 472: rota.ClassStop, 473: rota.ClassStop} {
		x := &vault.KV{Connection: connect(t, vault.Config{Address: answering(t, status, "required index state not present"), Login: vault.Token("hvs.canary")}), Entry: vault.Entry{Mount: "secret", Path: "app", Version: 2}}
		vaulttest.Wrong(t, deliver(t.Context(), x), want, "required index state not present", "the active server")
	}
}

// A fresh token seems to be renewable for ever, though it has a greatest age.
func TestATokensGreatestAgeIsWarnedOfFromTheStart(t *testing.T) {
	server, b := start(t)
	for most, warned := range map[time.Duration]bool{0: false, rota.Day: true, 30 * rota.Day: false} {
		connection, proxy := b.Connect(t, vault.Token(server.AddToken(rota.Day, true, "service", "root")))
		for range 2 {
			proxy.Answer(http.MethodGet, "/lookup-self", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprintf(w, `{"data": {"ttl": 86400, "creation_ttl": 86400, "renewable": true, "type": "service", "creation_time": %d, "explicit_max_ttl": %d}}`, time.Now().Unix(), int64(most.Seconds()))
			})
		}
		found := false
		for _, f := range entry(t, b, connection).Preflight(t.Context()) {
			found = found || strings.Contains(f.Detail, "greatest age")
		}
		if found != warned {
			t.Errorf("an explicit_max_ttl of %s: warned: %t", most, found)
		}
	}
}

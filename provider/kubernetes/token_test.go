package kubernetes

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
)

// tokens are those of the service account ci, which is there.
func (c *cluster) tokens(connection *Connection) *Tokens {
	c.t.Helper()
	c.ServiceAccountToken(c.t, c.namespace, "ci")
	return &Tokens{Connection: connection, Namespace: c.namespace, ServiceAccount: "ci", ExpiresAfter: 24 * time.Hour}
}

func TestTheTokensConform(t *testing.T) {
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		c := start(t)
		connection, faults := c.faulty()
		return providertest.IssuerFixture{
			Issuer: c.tokens(connection), UnknownID: "rota-token-ci-1/0b9d2c5e-0000-0000-0000-000000000000",
			Polling: providertest.Polling{Timeout: 40 * time.Second}, // the API server remembers for 10 s whom a token is of
			Inject:  faults.Inject(map[string]string{"create": "POST /secrets$", "test": "POST /tokenreviews", "delete": "DELETE /secrets/", "list": "GET /secrets/"}),
		}
	})
}

// The API server accepts the token as a login, only for its audience, and no longer than
// its Secret is there.
func TestATokenEndsWithItsSecret(t *testing.T) {
	c := start(t)
	tokens := c.tokens(c.admin())
	tokens.Connection = c.restricted(tokens) // what rota policy kubernetes prints is enough
	made, err := tokens.Create(t.Context(), rota.CreateRequest{Version: "rota-1"})
	if err != nil {
		t.Fatal(err)
	}
	in := c.connect(c.Kubeconfig(made.Field(FieldToken)))
	me := request{op: "see who I am", kind: "SelfSubjectReview", method: http.MethodPost, path: "/apis/authentication.k8s.io/v1/selfsubjectreviews", body: map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}}
	if err := in.do(t.Context(), me, &object{}); err != nil {
		t.Fatalf("it doesn't log in: %v", err)
	}
	if err := tokens.Test(t.Context(), rota.TestRequest{Credential: made}); err != nil {
		t.Fatal(err)
	}
	all, err := tokens.List(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != tokens.CredentialID(made) || all[0].Mark != "rota-1" || time.Until(all[0].ExpiresAt) > 25*time.Hour || time.Until(all[0].ExpiresAt) < 23*time.Hour {
		t.Errorf("listed %+v, %v", all, err)
	}
	if err := tokens.Delete(t.Context(), rota.RetireRequest{CredentialID: all[0].ID}); err != nil {
		t.Fatal(err)
	}
	until(t, "the token to end", func() bool {
		return errors.Is(tokens.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ErrRefused)
	})
	if err := in.do(t.Context(), me, &object{}); err == nil || !strings.Contains(err.Error(), "login is not valid") {
		t.Errorf("it still logs in, or: %v", err)
	}
	for _, f := range tokens.Preflight(t.Context()) {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
}

func TestATokenForAnAudienceIsReviewedForIt(t *testing.T) {
	c := start(t)
	tokens := c.tokens(c.admin())
	tokens.Audiences = []string{"https://vault.example.com"}
	made, err := tokens.Create(t.Context(), rota.CreateRequest{Version: "rota-1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := tokens.Test(t.Context(), rota.TestRequest{Credential: made}); err != nil {
		t.Error(err)
	}
	tokens.Audiences = []string{"https://other.example.com"}
	if err := tokens.Test(t.Context(), rota.TestRequest{Credential: made}); !errors.Is(err, rota.ErrRefused) {
		t.Errorf("for another audience: %v", err)
	}
	tokens.Audiences, tokens.ServiceAccount = []string{"https://vault.example.com"}, "other"
	if err := tokens.Test(t.Context(), rota.TestRequest{Credential: made}); err == nil || !strings.Contains(err.Error(), c.namespace+":ci") {
		t.Errorf("as another account's: %v", err)
	}
}

// What the API server decides about a token's life is read back, and a Secret that isn't
// Rota's is neither listed nor deleted.
func TestTokensGoByWhatTheClusterSays(t *testing.T) {
	c := start(t)
	connection, faults := c.faulty()
	tokens := c.tokens(connection)
	faults.Instead(providertest.Matching(http.MethodPost, "/token$"), func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind": "TokenRequest", "status": {"token": "made-for-one-hour", "expirationTimestamp": "` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}}`))
	})
	made, err := tokens.Create(t.Context(), rota.CreateRequest{Version: "rota-1"})
	if err != nil || made.Field(FieldToken) != "made-for-one-hour" {
		t.Fatal(err)
	}
	c.Do(t, http.MethodPost, pathOf("", c.namespace, "secrets", ""), map[string]any{"metadata": map[string]any{"name": "rota-token-ci-2"}}, nil)
	all, err := tokens.List(t.Context())
	if err != nil || len(all) != 1 || time.Until(all[0].ExpiresAt) > time.Hour {
		t.Errorf("listed %+v, %v", all, err)
	}
	foreign := "rota-token-ci-2/" + c.secret("rota-token-ci-2").Metadata.UID
	if err := tokens.Delete(t.Context(), rota.RetireRequest{CredentialID: foreign}); rota.ClassOf(err) != rota.ClassStop {
		t.Errorf("a foreign Secret: %v", err)
	}
	if err := tokens.Delete(t.Context(), rota.RetireRequest{CredentialID: "orders/" + c.secret("rota-token-ci-2").Metadata.UID}); rota.ClassOf(err) != rota.ClassStop {
		t.Errorf("a Secret of another name: %v", err)
	}
	// The next one takes a name that's free, and a name that's taken again is another token.
	second, err := tokens.Create(t.Context(), rota.CreateRequest{Version: "rota-2"})
	if err != nil || !strings.HasPrefix(second.Field(FieldTokenID), "rota-token-ci-3/") {
		t.Errorf("the second is %s: %v", second.Field(FieldTokenID), err)
	}
	if err := tokens.Delete(t.Context(), rota.RetireRequest{CredentialID: made.Field(FieldTokenID)}); err != nil {
		t.Fatal(err)
	}
	again, err := tokens.Create(t.Context(), rota.CreateRequest{Version: "rota-3"})
	if err != nil || again.Field(FieldTokenID) == made.Field(FieldTokenID) {
		t.Fatalf("the third is %s: %v", again.Field(FieldTokenID), err)
	}
	if err := tokens.Delete(t.Context(), rota.RetireRequest{CredentialID: made.Field(FieldTokenID)}); err != nil {
		t.Error(err)
	}
	marks := map[string]bool{}
	all, err = tokens.List(t.Context())
	for _, one := range all {
		marks[one.Mark] = true
	}
	if got := slices.Sorted(maps.Keys(marks)); err != nil || !slices.Equal(got, []string{"rota-2", "rota-3"}) {
		t.Errorf("left are %v, %v", got, err)
	}
}

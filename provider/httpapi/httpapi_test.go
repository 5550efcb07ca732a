package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/grafana"
	"github.com/rota-dev/rota/provider/grafana/grafanatest"
	"github.com/rota-dev/rota/provider/httpapi"
	"github.com/rota-dev/rota/provider/providertest"
)

// start gives a Grafana and a service account's tokens. What each system that's built on
// this package has to do is in [providertest.TokenIssuer]; here is what a system can't be
// made to do by itself.
func start(t *testing.T) (*providertest.TokenServer, *httpapi.Tokens) {
	t.Helper()
	server := grafanatest.New()
	t.Cleanup(server.Close)
	c, err := grafana.Connect("main", httpapi.Config{URL: server.URL, Authorization: httpapi.Bearer(providertest.AdminToken)})
	if err != nil {
		t.Fatal(err)
	}
	return server, grafana.Tokens(grafanatest.Account, httpapi.Tokens{Connection: c, Names: "orders", ExpiresAfter: 90 * rota.Day})
}

func create(t *testing.T, tokens *httpapi.Tokens) rota.Credential {
	t.Helper()
	c, err := tokens.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

// A system that doesn't record the last use must not look like one where a token was
// never used: the token would be deleted. Grafana doesn't note another use for a while.
func TestALastUseThatIsNotShownProvesNothing(t *testing.T) {
	for body, want := range map[string]rota.Use{
		`[{"id": 1, "name": "orders"}]`:                                       {Detail: "this Grafana doesn't show when a token was last used"},
		`[{"id": 1, "name": "orders", "lastUsedAt": null}]`:                   {Evidence: rota.EvidenceRecorded},
		`[{"id": 1, "name": "orders", "lastUsedAt": "2026-01-02T03:04:05Z"}]`: {Evidence: rota.EvidenceRecorded, At: time.Date(2026, 1, 2, 3, 14, 5, 0, time.UTC)},
	} {
		server, tokens := start(t)
		server.Answer("GET", "/tokens", answer(body))
		use, err := tokens.LastUsed(t.Context(), "1")
		if err != nil || use.Evidence != want.Evidence || use.Detail != want.Detail || use.At.Sub(want.At).Abs() > 2*time.Second {
			t.Errorf("%s: %+v, %v, want %+v", body, use, err, want)
		}
	}
}

// An answer that isn't the list must not be taken for an empty one, and a 404 of something
// in between must not be taken for a token that's gone.
func TestATokenIsGoneOnlyIfTheListSaysSo(t *testing.T) {
	for name, spoil := range map[string]func(*providertest.TokenServer){
		"the list is null":             func(s *providertest.TokenServer) { s.Answer("GET", "/tokens", answer("null")) },
		"the list is something else":   func(s *providertest.TokenServer) { s.Answer("GET", "/tokens", answer(`{"message": "hi"}`)) },
		"the list isn't there":         func(s *providertest.TokenServer) { s.Answer("GET", "/tokens", http.NotFound) },
		"the token isn't there for it": func(s *providertest.TokenServer) { s.Answer("DELETE", "/tokens/", http.NotFound) },
	} {
		server, tokens := start(t)
		c := create(t, tokens)
		spoil(server)
		if err := tokens.Delete(t.Context(), rota.RetireRequest{CredentialID: tokens.CredentialID(c)}); err == nil || !server.Accepts(c.Field(httpapi.FieldToken)) {
			t.Errorf("%s: deleted, %v", name, err)
		}
	}
}

func TestCheckSeesThatEverybodyIsLetIn(t *testing.T) {
	server, tokens := start(t)
	for _, f := range tokens.Preflight(t.Context()) {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
	server.Answer("GET", "/api/user", answer(`{"login": "anonymous"}`))
	findings := tokens.Preflight(t.Context())
	if last := findings[len(findings)-1]; last.OK || !strings.Contains(fmt.Sprint(last.Remedies), "anonymous access") {
		t.Errorf("%+v", last)
	}
}

// tokens of a system that answers as it's told.
type told struct {
	httpapi.TokenAPI
	made httpapi.Token
	who  string
}

func (a told) Create(context.Context, string, string, time.Duration) (httpapi.Token, error) {
	return a.made, nil
}

func (a told) LogIn(context.Context, string, string) (string, error) { return a.who, nil }

func TestHalfATokenIsNoToken(t *testing.T) {
	_, tokens := start(t)
	for _, made := range []httpapi.Token{{ID: "1"}, {Value: "value-canary"}} {
		tokens.API = told{made: made}
		if c, err := tokens.Create(t.Context(), rota.CreateRequest{}); !errors.Is(err, httpapi.ErrUnreadable) || !c.IsZero() {
			t.Errorf("%+v: %v", made, err)
		}
	}
}

// The value of one token under the number of another would have the wrong one deleted.
func TestTheValueHasToBeTheTokens(t *testing.T) {
	_, tokens := start(t)
	c := rota.NewCredential(map[string]string{httpapi.FieldTokenID: "1", httpapi.FieldToken: "value"})
	for who, ok := range map[string]bool{"1": true, "": true, "2": false} {
		tokens.API = told{who: who}
		if err := tokens.Test(t.Context(), rota.TestRequest{Credential: c}); (err == nil) != ok || err != nil && rota.ClassOf(err) != rota.ClassStop {
			t.Errorf("it's token %q: %v", who, err)
		}
	}
	if err := tokens.Test(t.Context(), rota.TestRequest{Credential: rota.NewCredential(map[string]string{httpapi.FieldToken: "value"})}); rota.ClassOf(err) != rota.ClassStop {
		t.Errorf("a token without a number: %v", err)
	}
}

func TestNamesTellWhoseATokenIs(t *testing.T) {
	const version = "rota-0f8fad5b-d9cb-469f-a165-70867728950e"
	names := httpapi.Names("orders")
	for name, want := range map[string]string{"orders": "", "orders-" + version: version, names.New("a person's own"): ""} {
		if mark, ours := names.Has(name); mark != want || !ours {
			t.Errorf("%s: %q, %t", name, mark, ours)
		}
	}
	for _, name := range []string{"orders2", "orders-eu", "shop-" + version, "orders-eu-" + version, "orders-" + version + "-2"} {
		if _, ours := names.Has(name); ours {
			t.Errorf("%s counts as one of ours", name)
		}
	}
}

func TestPagesEnd(t *testing.T) {
	list := func(last int) ([]int, error) {
		return httpapi.Pages(func(page int) ([]int, int, error) { return []int{page}, min(page+1, last), nil })
	}
	if all, err := list(3); err != nil || !slices.Equal(all, []int{1, 2, 3}) {
		t.Errorf("%v, %v", all, err)
	}
	if all, err := list(0); err != nil || !slices.Equal(all, []int{1}) {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := list(httpapi.MaxPages + 1); !errors.Is(err, httpapi.ErrTooMany) {
		t.Errorf("a list without an end: %v", err)
	}
}

func TestAConnectionNeedsAnAddressAndALogin(t *testing.T) {
	for _, cfg := range []httpapi.Config{
		{URL: "https://grafana.internal"},
		{URL: "http://grafana.internal", Authorization: "Bearer t"},
		{URL: "https://user:canary@grafana.internal", Authorization: "Bearer t"},
		{URL: "", Authorization: "Bearer t"},
	} {
		_, err := grafana.Connect("main", cfg)
		if err == nil || !strings.HasPrefix(err.Error(), "grafana main: ") || len(rota.RemediesOf(err)) == 0 || strings.Contains(err.Error(), "canary") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

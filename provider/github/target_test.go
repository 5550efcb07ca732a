package github_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/github/githubtest"
	"github.com/rota-dev/rota/provider/providertest"
)

func key(n int) rota.Credential {
	return rota.NewCredential(map[string]string{
		rota.FieldAccessKeyID:     fmt.Sprintf("AKIAIOSFODNN7EXAMPL%d", n),
		rota.FieldSecretAccessKey: fmt.Sprintf("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE%d", n),
	})
}

func deliver(ctx context.Context, t rota.Target, c rota.Credential) error {
	return t.Deliver(ctx, rota.DeliverRequest{Secret: "prod/shop-s3", Version: "v", Credential: c})
}

func secrets(t *testing.T, connection *github.Connection, place github.Place) *github.Secrets {
	t.Helper()
	return &github.Secrets{Target: "ci", Connection: connection, Place: place, Fields: fields(t, pair), Pause: time.Millisecond, Grace: 300 * time.Millisecond}
}

// Whatever request goes wrong, and however: what jobs get is whole, and the next
// delivery succeeds.
func TestAFaultAtAnyRequestLeavesAWholePair(t *testing.T) {
	for _, fault := range []providertest.FaultKind{providertest.FailBefore, providertest.LoseReply, providertest.Repeat, providertest.Hang} {
		for _, existing := range []bool{true, false} {
			for n := 0; ; n++ {
				server, connection := start(t)
				target := secrets(t, connection, shop)
				if existing {
					if err := deliver(t.Context(), target, key(1)); err != nil {
						t.Fatal(err)
					}
				}
				before := len(server.Requests())
				server.Nth(n, "", "/", fault)
				ctx, cancel := t.Context(), func() {}
				if fault == providertest.Hang {
					ctx, cancel = context.WithTimeout(ctx, 80*time.Millisecond)
				}
				err := deliver(ctx, target, key(2))
				cancel()
				if n >= len(server.Requests())-before {
					break // it has no such request
				}
				name := fmt.Sprintf("request %d (%s) %s (%v)", n, server.Requests()[before+n], fault, existing)
				c, found, readErr := whole(server, "actions shop")
				if readErr != nil || found && !c.Equal(key(1)) && !c.Equal(key(2)) || found && !existing && c.Equal(key(1)) {
					t.Errorf("%s: afterwards jobs get %v (%v, %v), the delivery's error is %v", name, c.Names(), found, readErr, err)
				}
				if err == nil && !c.Equal(key(2)) {
					t.Errorf("%s: it succeeded, and jobs get something else", name)
				}
				server.Heal()
				if err := deliver(t.Context(), target, key(2)); err != nil {
					t.Fatalf("%s: the next delivery: %v", name, err)
				}
				if c, _, _ := whole(server, "actions shop"); !c.Equal(key(2)) {
					t.Errorf("%s: the next delivery wrote something else", name)
				}
			}
		}
	}
}

// If a later write goes on failing, the error says which halves don't fit.
func TestHalvesThatDoNotFitAreNamed(t *testing.T) {
	server, connection := start(t)
	target := secrets(t, connection, shopAPI)
	for range 3 {
		server.Next(http.MethodPut, "/AWS_SECRET_ACCESS_KEY", providertest.FailBefore)
	}
	err := deliver(t.Context(), target, key(1))
	if want := "a new value in AWS_ACCESS_KEY_ID beside an old one in AWS_SECRET_ACCESS_KEY"; err == nil || !strings.Contains(err.Error(), want) || rota.ClassOf(err) != rota.ClassWait {
		t.Errorf("got %v", err)
	}
}

func TestAPublicKeyThatWasReplacedMeanwhileIsFetchedAgain(t *testing.T) {
	server, connection := start(t)
	server.Answer(http.MethodPut, "/AWS_ACCESS_KEY_ID", func(w http.ResponseWriter, _ *http.Request) {
		server.RenewKey("actions shop/api")
		w.WriteHeader(http.StatusUnprocessableEntity)
	})
	if err := deliver(t.Context(), secrets(t, connection, shopAPI), key(1)); err != nil {
		t.Fatal(err)
	}
	if c, _, _ := whole(server, "actions shop/api"); !c.Equal(key(1)) {
		t.Error("it holds something else")
	}
}

func TestAnOrganizationsVisibilityIsKept(t *testing.T) {
	for _, usedBy := range []github.UsedBy{github.Actions, github.Dependabot} {
		for _, c := range []struct {
			name, was, set, want string
			selected, wantIDs    []int64
		}{
			{"a new one is private", "", "", "private", nil, nil},
			{"a new one is as set", "", "selected", "selected", nil, nil},
			{"an existing one stays", "all", "", "all", nil, nil},
			{"selected repositories stay", "selected", "", "selected", []int64{1, 2}, []int64{1, 2}},
			{"an existing one changes as set", "selected", "all", "all", []int64{1}, nil},
		} {
			t.Run(string(usedBy)+": "+c.name, func(t *testing.T) {
				server, connection := start(t)
				target := &github.Secrets{Connection: connection, Place: shop, UsedBy: usedBy, Visibility: c.set, Document: "KEY"}
				place := string(usedBy) + " shop"
				if c.was != "" {
					server.SetSecret(place, githubtest.Secret{Name: "KEY", Visibility: c.was, Selected: c.selected})
				}
				if err := deliver(t.Context(), target, key(1)); err != nil {
					t.Fatal(err)
				}
				if got := server.Secrets(place)[0]; got.Visibility != c.want || !slices.Equal(got.Selected, c.wantIDs) {
					t.Errorf("it is %s to %v", got.Visibility, got.Selected)
				}
			})
		}
	}
}

func TestADocument(t *testing.T) {
	for format, want := range map[provider.DocumentFormat]string{
		"":                      `{"access_key_id":"AKIAIOSFODNN7EXAMPL1","secret_access_key":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE1"}`,
		provider.DocumentDotenv: "ACCESS_KEY_ID='AKIAIOSFODNN7EXAMPL1'\nSECRET_ACCESS_KEY='wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE1'\n",
		provider.DocumentAWS:    "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPL1\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE1\n",
	} {
		server, connection := start(t)
		if err := deliver(t.Context(), &github.Secrets{Connection: connection, Place: shopAPI, Document: "KEY", DocumentFormat: format}, key(1)); err != nil {
			t.Fatal(err)
		}
		if got := server.Secrets("actions shop/api")[0].Value; got != want {
			t.Errorf("as %q it is %q", format, got)
		}
	}
}

func TestWhatGitHubWouldNotTakeIsRefusedAheadAndWithoutARequest(t *testing.T) {
	for name, c := range map[string]struct {
		value, want string
		format      provider.DocumentFormat
		class       rota.Class
	}{
		"too long":                     {strings.Repeat("x", 48<<10+1), "49153 bytes", "", rota.ClassRegenerate},
		"a quotation mark in a dotenv": {"it's", "no place for the quotation mark", provider.DocumentDotenv, rota.ClassStop},
		"no key for AWS's file":        {"x", "no access_key_id", provider.DocumentAWS, rota.ClassStop},
	} {
		server, connection := start(t)
		target := &github.Secrets{Connection: connection, Place: shopAPI, Document: "DOCUMENT", DocumentFormat: c.format}
		if c.format == "" {
			target = &github.Secrets{Connection: connection, Place: shopAPI, Fields: fields(t, map[string]string{"PASSWORD": "password"})}
		}
		credential := rota.NewCredential(map[string]string{"password": c.value})
		for _, err := range []error{target.Accept(credential), deliver(t.Context(), target, credential)} {
			if err == nil || !strings.Contains(err.Error(), c.want) || rota.ClassOf(err) != c.class || len(rota.RemediesOf(err)) == 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := len(server.Requests()); n > 0 {
			t.Errorf("%s: it asked GitHub %d times", name, n)
		}
	}
}

// GitHub shows of a secret only when it was changed: whoever changes it after a
// delivery holds the old credential's retirement.
func TestASecretThatSomeoneChangedSinceHolds(t *testing.T) {
	server, _ := start(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	server.SetNow(func() time.Time { return now })
	connection := connect(t, server, github.Config{Token: githubtest.AdminToken, Now: func() time.Time { return now }})
	target := secrets(t, connection, shopAPI)
	target.NoWait = true
	if err := deliver(t.Context(), target, key(1)); err != nil {
		t.Fatal(err)
	}
	holders := func() []rota.Holder {
		t.Helper()
		h, err := target.Holders(t.Context(), rota.HoldersRequest{Secret: "prod/shop-s3", Since: now})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if h := holders(); len(h) > 0 {
		t.Errorf("as delivered: %+v", h)
	}
	now = now.Add(time.Hour)
	server.SetSecret("actions shop/api", githubtest.Secret{Name: "AWS_SECRET_ACCESS_KEY", Value: "someone's"})
	now = now.Add(-time.Hour)
	if h := holders(); len(h) != 1 || !strings.HasPrefix(h[0].Name, "secret AWS_SECRET_ACCESS_KEY of shop/api, which someone has changed since, at 2026-03-01 13:00") || rota.Hint(h[0].Remedies) != "deliver prod/shop-s3" {
		t.Errorf("changed since: %+v", h)
	}
	now = now.Add(2 * time.Hour)
	if err := deliver(t.Context(), target, key(1)); err != nil {
		t.Fatal(err)
	}
	if h := holders(); len(h) > 0 {
		t.Errorf("delivered again: %+v", h)
	}
}

func TestPreflightFindsAFullPlaceAndAnOldToken(t *testing.T) {
	server, _ := start(t)
	connection := connect(t, server, github.Config{Token: server.AddToken(githubtest.Token{Expires: time.Now().Add(24 * time.Hour)})})
	target := secrets(t, connection, shopAPI)
	for n := range 99 {
		server.SetSecret("actions shop/api", githubtest.Secret{Name: fmt.Sprint("S", n)})
	}
	findings := target.Preflight(t.Context())
	for _, want := range []string{"it has 99 secrets, and GitHub allows 100", "it expires on "} {
		if !slices.ContainsFunc(findings, func(f rota.Finding) bool { return !f.OK && strings.Contains(f.Detail, want) && len(f.Remedies) > 0 }) {
			t.Errorf("%q isn't among %+v", want, findings)
		}
	}
}

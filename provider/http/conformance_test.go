package http_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	api "github.com/rota-dev/rota/provider/http"
	"github.com/rota-dev/rota/provider/providertest"
)

func connect(t testing.TB, url string, change func(*api.Config)) *api.Connection {
	t.Helper()
	cfg := api.Config{URL: url, Headers: map[string]string{"Authorization": "Bearer " + adminToken}, AllowPrivate: true}
	if change != nil {
		change(&cfg)
	}
	c, err := api.New("api", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var switchKeys = api.KeyConfig{
	Create: api.Request{Method: "POST", Path: "/keys", Body: `{"name": "{name}"}`}, Fields: map[string]string{"id": "data.id", "key": "data.secret"},
	List:   api.ListRequest{Request: api.Request{Method: "GET", Path: "/keys?after={cursor}"}, Items: "data", ID: "id", Name: "label", Created: "made", Used: "seen", Active: "state", On: "on", Next: "cursor"},
	Test:   api.Request{Method: "GET", Path: "/me", Headers: map[string]string{"Authorization": "Bearer {key}"}},
	Delete: api.Request{Method: "DELETE", Path: "/keys/{id}"}, Deactivate: api.Request{Method: "POST", Path: "/keys/{id}/switch/off"}, Reactivate: api.Request{Method: "POST", Path: "/keys/{id}/switch/on"},
	TestSuccesses: 1,
}

func TestIssuersKeepTheContract(t *testing.T) {
	bare := switchKeys
	bare.Deactivate, bare.Reactivate, bare.List.Used = api.Request{}, api.Request{}, ""
	limited := switchKeys
	limited.Limit = 4
	for name, cfg := range map[string]api.KeyConfig{"keys that can be switched off": switchKeys, "keys that can only be deleted": bare, "a number of keys": limited} {
		t.Run(name, func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				s := switches(t)
				f := providertest.IssuerFixture{Issuer: connect(t, s.URL, nil).Key(cfg), Inject: s.inject, UnknownID: "none"}
				if cfg.List.Used != "" {
					f.Use = func(t *testing.T, c rota.Credential) {
						if err := f.Issuer.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
							t.Fatal(err)
						}
					}
				}
				return f
			})
		})
	}
}

func TestTheTargetKeepsTheContract(t *testing.T) {
	providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
		s := switches(t)
		return providertest.TargetFixture{
			Target: connect(t, s.URL, nil).Target("settings", api.Request{Method: "PUT", Path: "/settings/token", Body: `{"id": "{id}", "value": "{key}"}`}),
			Inject: s.inject,
			Credential: func(n int) rota.Credential {
				return rota.NewCredential(map[string]string{"id": fmt.Sprint(n), "key": fmt.Sprintf("value-\"number\"-%d", n)})
			},
			Read: func() (rota.Credential, bool, error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				text, ok := s.last["token"]
				if !ok {
					return rota.Credential{}, false, nil
				}
				var v struct{ ID, Value string }
				err := json.Unmarshal([]byte(text), &v)
				return rota.NewCredential(map[string]string{"id": v.ID, "key": v.Value}), true, err
			},
		}
	})
}

func TestTheReloaderKeepsTheContract(t *testing.T) {
	providertest.Reloader(t, func(t *testing.T) providertest.ReloaderFixture {
		s := switches(t)
		return providertest.ReloaderFixture{
			Reloader: connect(t, s.URL, nil).Reloader("shop", api.ReloadConfig{
				Request: api.Request{Method: "POST", Path: "/deploys", Body: `{"version": "{version}"}`},
				Until:   api.Request{Method: "GET", Path: "/deploys/last"}, At: "app.version", Is: "{version}", Every: 1,
			}),
			Inject: s.inject,
			Running: func() (string, error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.last["running"], nil
			},
		}
	})
}

func TestTemplatesJoinAndEncodeValues(t *testing.T) {
	s := newStandIn(t, func(s *standIn, mux *http.ServeMux) {
		mux.HandleFunc("PUT /settings/{name}", func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.last["body"] = string(body)
			for _, name := range []string{"Authorization", "X-Key"} {
				s.last[name] = r.Header.Get(name)
			}
		})
	})
	target := connect(t, s.URL, nil).Target("settings", api.Request{
		Method: "PUT", Path: "/settings/token",
		Headers: map[string]string{"Authorization": "Basic {user:key|base64}", "X-Key": "{key:|base64} {:key} {{key}}"},
		Body:    `{"url": "db://{user}:{key|url}@db", "value": "{key|base64}", "entry": "{{\"key\": \"{key|json}\"}}", "plain": "{key}"}`,
	})
	key := `a"b/c d\e<f>`
	err := target.Deliver(t.Context(), rota.DeliverRequest{Secret: "s", Version: "v", Credential: rota.NewCredential(map[string]string{"user": "rota", "key": key})})
	if err != nil {
		t.Fatal(err)
	}
	encoded := base64.StdEncoding.EncodeToString
	if got, want := s.last["Authorization"], "Basic "+encoded([]byte("rota:"+key)); got != want {
		t.Errorf("Authorization is %q, want %q", got, want)
	}
	if got, want := s.last["X-Key"], encoded([]byte(key+":"))+" :"+key+" {key}"; got != want {
		t.Errorf("X-Key is %q, want %q", got, want)
	}
	var body, entry map[string]string
	if err := json.Unmarshal([]byte(s.last["body"]), &body); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(body["entry"]), &entry); err != nil {
		t.Fatalf("the JSON within the body: %v: %s", err, body["entry"])
	}
	delete(body, "entry")
	want := map[string]string{"url": "db://rota:a%22b%2Fc%20d%5Ce%3Cf%3E@db", "value": encoded([]byte(key)), "plain": key}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"key": key}, entry); diff != "" {
		t.Error(diff)
	}
}

package elasticsearch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	es "github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/provider/elasticsearch"
	"github.com/rota-dev/rota/provider/elasticsearch/elasticsearchtest"
	"github.com/rota-dev/rota/provider/providertest"
)

const version = "rota-0f8fad5b-d9cb-469f-a165-70867728950e"

// The stand-in answers Elastic's own client, and what that makes is what Rota sees.
func TestElasticsOwnClientGetsAlongWithTheStandIn(t *testing.T) {
	server, keys := start(t, elasticsearch.Elasticsearch)
	client, err := elasticClient(server.URL, "", elasticsearchtest.Username, elasticsearchtest.Password)
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		ID, Encoded string
		APIKey      string `json:"api_key"`
	}
	read(t, &made)(esapi.SecurityCreateAPIKeyRequest{Body: strings.NewReader(`{"name": "orders", "expiration": "24h", "role_descriptors": {}}`)}.Do(t.Context(), client))
	listed, err := keys.List(t.Context())
	if err != nil || len(listed) != 1 || listed[0].ID != made.ID || listed[0].Mark != "" || listed[0].ExpiresAt.Sub(listed[0].CreatedAt) != 24*time.Hour {
		t.Fatalf("Rota sees %+v, %v", listed, err)
	}
	c := keys.Complete(rota.NewCredential(map[string]string{"encoded": made.Encoded}))
	if c.Field("id") != made.ID || c.Field("api_key") != made.APIKey {
		t.Errorf("the encoded key is read as that of %q", c.Field("id"))
	}
	if err := keys.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
		t.Error(err)
	}
	// And the other way round: what Rota makes logs in with Elastic's client.
	mine := create(t, keys, version)
	other, err := elasticClient(server.URL, mine.Field("encoded"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	var me struct {
		Key struct{ ID string } `json:"api_key"`
	}
	read(t, &me)(esapi.SecurityAuthenticateRequest{}.Do(t.Context(), other))
	if me.Key.ID != mine.Field("id") {
		t.Errorf("logged in as %q", me.Key.ID)
	}
	var list struct {
		Keys []struct{ Name string } `json:"api_keys"`
	}
	owner := true
	read(t, &list)(esapi.SecurityGetAPIKeyRequest{Owner: &owner, Name: "orders-rota*"}.Do(t.Context(), client))
	if len(list.Keys) != 1 || list.Keys[0].Name != "orders-"+version {
		t.Errorf("the list is %+v", list)
	}
	var done struct {
		Invalidated []string `json:"invalidated_api_keys"`
	}
	read(t, &done)(esapi.SecurityInvalidateAPIKeyRequest{Body: strings.NewReader(fmt.Sprintf(`{"ids": [%q], "owner": true}`, made.ID))}.Do(t.Context(), client))
	if len(done.Invalidated) != 1 || server.Accepts(made.ID, made.APIKey) {
		t.Errorf("invalidated %v", done.Invalidated)
	}
}

func elasticClient(url, key, user, password string) (*es.Client, error) {
	return es.NewClient(es.Config{Addresses: []string{url}, APIKey: key, Username: user, Password: password, DisableRetry: true})
}

// read takes an answer of Elastic's client apart.
func read(t *testing.T, out any) func(*esapi.Response, error) {
	return func(resp *esapi.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.IsError() || json.Unmarshal(text, out) != nil {
			t.Fatalf("%d %s: %v", resp.StatusCode, text, err)
		}
	}
}

// Keys of other names and owners, and those that are over, aren't the issuer's.
func TestOnlyItsOwnValidKeysAreListed(t *testing.T) {
	for _, product := range products {
		t.Run(string(product), func(t *testing.T) {
			server, keys := start(t, product)
			now := time.Now().Add(-time.Hour)
			server.SetNow(func() time.Time { return now })
			keys.ExpiresAfter = 30 * time.Minute
			create(t, keys, strings.Replace(version, "0f8", "1f8", 1)) // over by now
			keys.ExpiresAfter = 24 * time.Hour
			gone := create(t, keys, strings.Replace(version, "0f8", "2f8", 1))
			if err := keys.Delete(t.Context(), rota.RetireRequest{CredentialID: gone.Field("id")}); err != nil {
				t.Fatal(err)
			}
			mine := create(t, keys, version)
			server.Add("orders-eu", elasticsearchtest.Username)
			server.Add("orders2", elasticsearchtest.Username)
			if product == elasticsearch.Elasticsearch {
				server.Add("orders", "somebody")
			}
			listed, err := keys.List(t.Context())
			if err != nil || len(listed) != 1 || listed[0].ID != mine.Field("id") || listed[0].Mark != version || listed[0].ExpiresAt.Sub(listed[0].CreatedAt) != 24*time.Hour {
				t.Errorf("listed %+v, %v", listed, err)
			}
			// Invalidating it again is no error.
			if err := keys.Delete(t.Context(), rota.RetireRequest{CredentialID: gone.Field("id")}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, product := range products {
		call := func(ctx context.Context, url, password string) error {
			connection, err := elasticsearch.New("main", elasticsearch.Config{Product: product, URL: url, Username: elasticsearchtest.Username, Password: password})
			if err != nil {
				return err
			}
			_, err = (&elasticsearch.APIKeys{Connection: connection, KeyName: "orders"}).List(ctx)
			return err
		}
		t.Run(string(product), func(t *testing.T) {
			providertest.HTTPErrors(t, providertest.HTTPFixture{
				System: strings.ToLower(string(product)) + " main", Secret: elasticsearchtest.Password,
				Call: func(ctx context.Context, url string) error { return call(ctx, url, elasticsearchtest.Password) },
			})
			server, _ := start(t, product)
			if err := call(t.Context(), server.URL, "wrong-canary-3Mz8"); !strings.Contains(fmt.Sprint(rota.RemediesOf(err)), "valid username and password") || strings.Contains(err.Error(), "canary") {
				t.Errorf("a wrong password: %v, %v", err, rota.RemediesOf(err))
			}
			server.Deny("/api")
			needs := map[elasticsearch.Product]string{elasticsearch.Elasticsearch: "manage_own_api_key", elasticsearch.OpenSearch: "security/api_token"}[product]
			if err := call(t.Context(), server.URL, elasticsearchtest.Password); !strings.Contains(fmt.Sprint(rota.RemediesOf(err)), needs) {
				t.Errorf("no permission: %v, %v", err, rota.RemediesOf(err))
			}
		})
	}
}

func TestCheckSeesWhatWouldFail(t *testing.T) {
	for _, product := range products {
		for _, c := range []struct {
			name  string
			spoil func(*elasticsearchtest.Server)
			want  string // "" if all is well
		}{
			{"all is well", func(*elasticsearchtest.Server) {}, ""},
			{"anonymous access", func(s *elasticsearchtest.Server) { s.SetAnonymous(true) }, "anonymous"},
			{"no permission", func(s *elasticsearchtest.Server) { s.Deny("/api") }, "unauthorized"},
		} {
			t.Run(string(product)+" "+c.name, func(t *testing.T) {
				server, keys := start(t, product)
				c.spoil(server)
				failed := ""
				for _, f := range keys.Preflight(t.Context()) {
					if !f.OK {
						failed += fmt.Sprint(f.Check, ": ", f.Detail, " | ", f.Remedies, "\n")
					}
				}
				if (failed == "") != (c.want == "") || !strings.Contains(failed, c.want) {
					t.Errorf("failed:\n%s\nwant %q", failed, c.want)
				}
				if n := len(server.Keys()); n > 0 {
					t.Errorf("%d keys were made", n)
				}
			})
		}
		t.Run("the other product than "+string(product), func(t *testing.T) {
			server := elasticsearchtest.New(product != elasticsearch.OpenSearch)
			t.Cleanup(server.Close)
			connection, err := elasticsearch.New("main", elasticsearch.Config{Product: product, URL: server.URL, Username: elasticsearchtest.Username, Password: elasticsearchtest.Password})
			if err != nil {
				t.Fatal(err)
			}
			findings := (&elasticsearch.APIKeys{Connection: connection, KeyName: "orders"}).Preflight(t.Context())
			if len(findings) != 1 || findings[0].OK || !strings.Contains(findings[0].Detail, "it isn't "+string(product)) {
				t.Errorf("%+v", findings)
			}
		})
	}
}

// A key that another key makes has no privileges. Rota sees what logs in before it makes one.
func TestAKeyMakesNoKeys(t *testing.T) {
	s, k := start(t, elasticsearch.Elasticsearch)
	s.Answer("GET", "/_security/_authenticate", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"username": "rota", "authentication_type": "api_key", "api_key": {"id": "x", "name": "a proxy's"}}`))
	})
	_, err := k.Create(t.Context(), rota.CreateRequest{Version: "rota-1"})
	if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), "has no privileges") || len(rota.RemediesOf(err)) != 1 {
		t.Errorf("it says %v", err)
	}
	for _, r := range s.Requests() {
		if strings.HasPrefix(r, "POST /_security/api_key") {
			t.Error("a key was made")
		}
	}
}

// OpenSearch takes as the value of a key what may have any permission; one that may not
// look at the cluster is still a key.
func TestAKeyThatMayDoLittleIsAKey(t *testing.T) {
	server, keys := start(t, elasticsearch.OpenSearch)
	c := create(t, keys, version)
	server.Answer("GET", "/$", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"error":{"type":"security_exception","reason":"no permissions for [cluster:monitor/main]"},"status":403}`))
	})
	if err := keys.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
		t.Error(err)
	}
}

// The example on the provider's page rotates as it stands there; only the clusters'
// addresses and the folders are the test's.
func TestTheExampleRotates(t *testing.T) {
	search, logs := elasticsearchtest.New(false), elasticsearchtest.New(true)
	t.Cleanup(search.Close)
	t.Cleanup(logs.Close)
	dir := t.TempDir()
	text := strings.NewReplacer("https://search.internal:9200", search.URL, "https://logs.internal:9200", logs.URL,
		"/run/secrets", dir, "/etc/orders", dir).Replace(elasticsearch.Provider().Example)
	config := filepath.Join(dir, "rota.yaml")
	for path, text := range map[string]string{config: text, filepath.Join(dir, "elastic"): elasticsearchtest.Password, filepath.Join(dir, "opensearch"): elasticsearchtest.Password} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check"}, {"run", "--all"}, {"rotate", "prod/orders-search", "prod/orders-logs", "--yes"}, {"status"}} {
		var out bytes.Buffer
		if code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(""), &out, &out); code != 0 {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
	}
	for file, server := range map[string]*elasticsearchtest.Server{"search.env": search, "logs.env": logs} {
		delivered, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		all := server.Keys()
		if len(all) != 2 || !strings.Contains(string(all[1].Permissions), "orders-*") || all[1].Expires.IsZero() {
			t.Fatalf("the cluster has %+v", all)
		}
		mine := credentialOf(t, all[1])
		if !strings.Contains(string(delivered), mine.Field("encoded")) && !strings.Contains(string(delivered), mine.Field("api_key")) {
			t.Errorf("%s isn't the new key", file)
		}
	}
}

// credentialOf is a key's credential.
func credentialOf(t *testing.T, k elasticsearchtest.Key) rota.Credential {
	t.Helper()
	_, issuer := start(t, elasticsearch.Elasticsearch)
	return issuer.Complete(rota.NewCredential(map[string]string{"id": k.ID, "api_key": k.Value}))
}

// Whatever token a rotation was asked for with, the key that it makes is listed.
func TestAKeyOfAnyVersionIsListed(t *testing.T) {
	for _, product := range products {
		_, issuer := start(t, product)
		for i, version := range []string{"0F8FAD5B-D9CB-469F-A165-70867728950E", "deploy-2026-11-30-0123456789abcdef", ""} {
			create(t, issuer, version)
			if listed, err := issuer.List(t.Context()); err != nil || len(listed) != i+1 {
				t.Errorf("%s, version %q: %d keys are listed, %v", product, version, len(listed), err)
			}
		}
	}
}

// After its name was changed in rota.yaml, a key isn't in the list anymore. It isn't
// gone, and nothing says that it's unused.
func TestAKeyOfAnotherNameIsNotEnded(t *testing.T) {
	for _, product := range products {
		server, issuer := start(t, product)
		c := create(t, issuer, version)
		renamed := &elasticsearch.APIKeys{Connection: issuer.Connection, KeyName: "orders2"}
		if err := renamed.Delete(t.Context(), rota.RetireRequest{CredentialID: c.Field("id")}); rota.ClassOf(err) != rota.ClassStop || !server.Accepts(c.Field("id"), c.Field("api_key")) {
			t.Errorf("%s: %v", product, err)
		}
	}
}

// A proxy that answers 404 isn't the cluster saying that a key is gone.
func TestAProxysNotFoundEndsNothing(t *testing.T) {
	server, issuer := start(t, elasticsearch.Elasticsearch)
	c := create(t, issuer, version)
	lost := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
	server.Answer("DELETE", "", lost)
	server.Answer("GET", "/_security/_authenticate", lost)
	if err := issuer.Delete(t.Context(), rota.RetireRequest{CredentialID: c.Field("id")}); err == nil || errors.Is(err, rota.ErrNotFound) {
		t.Errorf("it says %v", err)
	}
}

// With another user in the connection, Rota neither sees nor may end the keys that the
// former one made. Not having them isn't their being gone.
func TestAKeyOfTheFormerUserIsNotGone(t *testing.T) {
	server, issuer := start(t, elasticsearch.Elasticsearch)
	c := create(t, issuer, version)
	gone := rota.RetireRequest{CredentialID: c.Field("id")}
	server.Disown("former")
	err := issuer.Delete(t.Context(), gone)
	if rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), `user "former"'s`) || !server.Accepts(c.Field("id"), c.Field("api_key")) {
		t.Errorf("it says %v", err)
	}
	byID := func(r *http.Request) bool { return r.URL.Query().Has("id") }
	server.Instead(byID, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusForbidden) })
	if err := issuer.Delete(t.Context(), gone); rota.ClassOf(err) != rota.ClassStop || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "read_security") {
		t.Errorf("it says %v", err)
	}
}

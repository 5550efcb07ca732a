package vaultkv_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openbao/openbao/api/v2"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/vaultkv"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
)

const name = "prod/orders-db"

// world is a Vault with an engine, behind a proxy that counts requests.
type world struct {
	vaulttest.Backend
	mount string
	url   string

	mu    sync.Mutex
	paths map[string]int
}

func newWorld(t *testing.T, version string) *world {
	t.Helper()
	s := vaulttest.New()
	t.Cleanup(s.Close)
	w := &world{Backend: vaulttest.Of(s), paths: map[string]int{}}
	w.mount = w.Mount(t, "kv", version)
	to, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.paths[r.URL.Path]++
		w.mu.Unlock()
		forward.ServeHTTP(rw, r)
	}))
	t.Cleanup(proxy.Close)
	w.url = proxy.URL
	return w
}

// reads is how often a part of the engine's paths was asked for.
func (w *world) reads(part string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.paths["/v1/"+w.mount+"/"+part+name]
}

func (w *world) login(t *testing.T, token string) *api.Client {
	t.Helper()
	config := api.NewConfig()
	config.Address = w.url
	c, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	c.SetToken(token)
	return c
}

// source reads with a policy that allows these parts of the engine.
func (w *world) source(t *testing.T, version int, parts ...string) client.Source {
	t.Helper()
	var hcl strings.Builder
	for _, part := range parts {
		hcl.WriteString(`path "` + w.mount + "/" + part + name + `" { capabilities = ["read"] }` + "\n")
	}
	return vaultkv.New(w.login(t, w.Policy(t, hcl.String())), vaultkv.Options{Mount: w.mount, Version: version})
}

func (w *world) write2(t *testing.T, password string) {
	t.Helper()
	w.Do(t, http.MethodPost, w.mount+"/data/"+name, map[string]any{"data": map[string]any{"username": "orders", "password": password, "port": 5432}})
}

func open(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	c, err := client.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func password(t *testing.T, s *client.Secret) string {
	t.Helper()
	v, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v.Field("password")
}

func TestAnUnchangedEntryIsNotReadAgain(t *testing.T) {
	w := newWorld(t, "2")
	w.write2(t, "one")
	s := open(t, client.Options{Source: w.source(t, 2, "data/", "metadata/"), Every: 10 * time.Millisecond}).Secret(name)
	v, err := s.Get(t.Context())
	if err != nil || v.Field("password") != "one" || v.Field("port") != "5432" {
		t.Fatalf("%v, %v", v, err)
	}
	testenv.Eventually(t, "the metadata is asked for", func() bool { return w.reads("metadata/") > 3 })
	if n := w.reads("data/"); n != 1 {
		t.Errorf("the content was read %d times", n)
	}
	w.write2(t, "two")
	testenv.Eventually(t, "the next version arrives", func() bool { return password(t, s) == "two" })
	if n := w.reads("data/"); n != 2 {
		t.Errorf("the content was read %d times for two versions", n)
	}
}

func TestAnEntryThatIsWrittenAnewIsAnotherOne(t *testing.T) {
	w := newWorld(t, "2")
	w.write2(t, "one")
	s := open(t, client.Options{Source: w.source(t, 2, "data/", "metadata/"), Every: 10 * time.Millisecond}).Secret(name)
	password(t, s)
	w.Do(t, http.MethodDelete, w.mount+"/metadata/"+name, nil)
	testenv.Eventually(t, "it's missing", func() bool { return errors.Is(s.Status().Err, client.ErrNotFound) })
	if got := password(t, s); got != "one" {
		t.Errorf("the last known value is %q", got)
	}
	w.write2(t, "anew") // version 1 again
	testenv.Eventually(t, "the new entry arrives", func() bool { return password(t, s) == "anew" })
}

func TestWithoutTheMetadata(t *testing.T) {
	w := newWorld(t, "2")
	w.write2(t, "one")
	s := open(t, client.Options{Source: w.source(t, 2, "data/"), Every: 10 * time.Millisecond}).Secret(name)
	password(t, s)
	w.write2(t, "two")
	testenv.Eventually(t, "the next version arrives", func() bool { return password(t, s) == "two" })
}

func TestThePreviousVersion(t *testing.T) {
	w := newWorld(t, "2")
	w.write2(t, "one")
	source := w.source(t, 2, "data/")
	ask := func() (client.Value, error) {
		return source.Fetch(t.Context(), client.Request{Secret: name, Previous: true})
	}
	if v, err := ask(); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("of the first version: %v, %v", v, err)
	}
	w.write2(t, "two")
	if v, err := ask(); err != nil || v.Field("password") != "one" {
		t.Errorf("%v, %v", v, err)
	}
	// One whose content is gone can't be.
	w.Do(t, http.MethodPut, w.mount+"/destroy/"+name, map[string]any{"versions": []int{1}})
	if v, err := ask(); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a destroyed one: %v, %v", v, err)
	}
}

func TestADeletedVersionIsMissing(t *testing.T) {
	w := newWorld(t, "2")
	w.write2(t, "one")
	source := w.source(t, 2, "data/", "metadata/")
	v, err := source.Fetch(t.Context(), client.Request{Secret: name})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Fetch(t.Context(), client.Request{Secret: name, Have: v.Version()}); !errors.Is(err, client.ErrUnchanged) {
		t.Errorf("unchanged: %v", err)
	}
	w.Do(t, http.MethodDelete, w.mount+"/data/"+name, nil)
	if _, err := source.Fetch(t.Context(), client.Request{Secret: name, Have: v.Version()}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

func TestVersion1(t *testing.T) {
	w := newWorld(t, "1")
	write := func(password string) {
		w.Do(t, http.MethodPost, w.mount+"/"+name, map[string]any{"username": "orders", "password": password})
	}
	write("one")
	source := w.source(t, 1, "")
	s := open(t, client.Options{Source: source, Every: 10 * time.Millisecond}).Secret(name)
	password(t, s)
	first := s.Status()
	if strings.Contains(first.Version, "one") || first.Version == "" {
		t.Errorf("version %q", first.Version)
	}
	testenv.Eventually(t, "it's asked for again", func() bool { return s.Status().Succeeded > 3 })
	if got := s.Status(); got.Version != first.Version || !got.Since.Equal(first.Since) {
		t.Errorf("it changed from %+v to %+v", first, got)
	}
	write("two")
	testenv.Eventually(t, "the next content arrives", func() bool { return password(t, s) == "two" })
	if _, err := source.Fetch(t.Context(), client.Request{Secret: name, Previous: true}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("the previous one: %v", err)
	}
}

// Vault refuses a token that has ended like a path that isn't allowed. Only the second is
// a reason to give up.
func TestWhatVaultRefuses(t *testing.T) {
	w := newWorld(t, "2")
	w.write2(t, "one")
	fetch := func(s client.Source, name string) error {
		t.Helper()
		_, err := s.Fetch(t.Context(), client.Request{Secret: name})
		if err == nil {
			t.Fatal("it was answered")
		}
		return err
	}
	if err := fetch(w.source(t, 2, "metadata/"), name); !errors.Is(err, client.ErrDenied) {
		t.Errorf("without the policy: %v", err)
	}
	ended := vaultkv.New(w.login(t, "hvs.ended"), vaultkv.Options{Mount: w.mount})
	if err := fetch(ended, name); errors.Is(err, client.ErrDenied) || errors.Is(err, client.ErrNotFound) {
		t.Errorf("with a token that has ended: %v", err)
	}
	root := vaultkv.New(w.login(t, w.Token), vaultkv.Options{Mount: "/" + w.mount + "/"})
	for _, name := range []string{"prod/nothing", "../sys/mounts", "prod//orders-db", ""} {
		if err := fetch(root, name); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := fetch(vaultkv.New(w.login(t, w.Token), vaultkv.Options{Version: 3}), name); !strings.Contains(err.Error(), "version 3") {
		t.Errorf("version 3: %v", err)
	}
}

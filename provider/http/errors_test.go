package http_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	api "github.com/rota-dev/rota/provider/http"
)

// wantError checks an error's class, sentinel (nil for any) and words, and that it
// names the system and holds no login.
func wantError(t testing.TB, err error, class rota.Class, sentinel error, words ...string) {
	t.Helper()
	testenv.WantError(t, err, class, sentinel, adminToken, append(words, "http api: ")...)
}

func TestWhatStandsInTheWayIsNamed(t *testing.T) {
	said := ""
	code, header := 200, http.Header{}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(strings.ReplaceAll(said, "$AUTH", r.Header.Get("Authorization"))))
	}))
	defer s.Close()
	k := connect(t, s.URL, nil).Key(switchKeys)
	list := func() error { _, err := k.(rota.Lister).List(t.Context()); return err }
	for _, test := range []struct {
		name  string
		code  int
		text  string
		class rota.Class
		words []string
	}{
		{"a login that isn't valid", 401, "you sent $AUTH", rota.ClassStop, []string{"401", "[redacted]", "a valid login in the headers of connection api"}},
		{"a missing permission", 403, `{"message":"no"}`, rota.ClassStop, []string{"403", "permission to list the keys"}},
		{"a wrong path", 404, "", rota.ClassStop, []string{"404", "the path as the API's documentation has it"}},
		{"a conflict", 409, "name is taken", rota.ClassStop, []string{"name is taken"}},
		{"a bad request", 422, strings.Repeat("x", 5000), rota.ClassStop, []string{"422", rota.Omission, "the request as"}},
		{"an outage", 503, "", rota.ClassWait, []string{"503"}},
		{"a redirect", 307, "", rota.ClassStop, []string{"307", "follows no redirect"}},
		{"an answer that isn't JSON", 200, "<html>", rota.ClassStop, []string{`no list at "data"`}},
		{"an answer without the list", 200, `{"items": []}`, rota.ClassStop, []string{`no list at "data"`}},
		{"an item without its id", 200, `{"data": [{"label": "x"}]}`, rota.ClassStop, []string{`no text at "id"`}},
		{"a use that can't be read", 200, `{"data": [{"id": "1", "state": "on", "seen": "yesterday"}]}`, rota.ClassStop, []string{`no time at "seen"`}},
		{"a state that's missing", 200, `{"data": [{"id": "1"}]}`, rota.ClassStop, []string{`no text at "state"`}},
		{"an answer without end", 200, strings.Repeat(" ", (4<<20)+1), rota.ClassStop, []string{"larger than 4 MiB"}},
		{"pages without end", 200, `{"data": [], "cursor": "again"}`, rota.ClassStop, []string{"more than 200 pages"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, said, header = test.code, test.text, http.Header{"Location": {elsewhere.URL}}
			wantError(t, list(), test.class, nil, test.words...)
			if f := k.(rota.Preflighter).Preflight(t.Context()); len(f) != 1 || f[0].OK || len(f[0].Remedies) == 0 && test.class == rota.ClassStop {
				t.Errorf("check says %+v", f)
			}
		})
	}
	t.Run("a limit of calls", func(t *testing.T) {
		code, said, header = 429, "", http.Header{"Retry-After": {"17"}}
		err := list()
		wantError(t, err, rota.ClassWait, nil, "429")
		if e, _ := errors.AsType[*rota.Error](err); e.RetryAfter != 17*time.Second {
			t.Errorf("retry after %s", e.RetryAfter)
		}
	})
	t.Run("an answer to create without the key", func(t *testing.T) {
		code, said, header = 201, `{"data": {"id": "1"}}`, nil
		_, err := k.Create(t.Context(), rota.CreateRequest{})
		wantError(t, err, rota.ClassStop, nil, `no text at "data.secret"`, "field key")
	})
	t.Run("a key that the API repeats", func(t *testing.T) {
		code, said, header = 401, "bad token: $AUTH", nil
		c := rota.NewCredential(map[string]string{"id": "7", "key": "value-canary-1"})
		err := k.Test(t.Context(), rota.TestRequest{Credential: c})
		wantError(t, err, rota.ClassWait, rota.ErrRefused, "log in with key 7")
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error holds the key: %v", err)
		}
	})
	t.Run("a key that would be two headers", func(t *testing.T) {
		c := rota.NewCredential(map[string]string{"id": "7", "key": "canary\r\nX-Evil: 1"})
		err := k.Test(t.Context(), rota.TestRequest{Credential: c})
		wantError(t, err, rota.ClassStop, nil, "can't be sent")
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error holds the key: %v", err)
		}
	})
	t.Run("no server", func(t *testing.T) {
		_, err := connect(t, "http://127.0.0.1:1", nil).Key(switchKeys).(rota.Lister).List(t.Context())
		wantError(t, err, rota.ClassWait, nil, "refused", "the url of connection api")
	})
	t.Run("a server that hangs", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		c := connect(t, "http://"+l.Addr().String(), func(cfg *api.Config) { cfg.Timeout = 50 * time.Millisecond })
		_, err = c.Key(switchKeys).(rota.Lister).List(t.Context())
		wantError(t, err, rota.ClassWait, nil, "no response in time", "a longer timeout")
	})
	t.Run("a certificate nobody vouches for", func(t *testing.T) {
		s := httptest.NewTLSServer(http.NotFoundHandler())
		defer s.Close()
		_, err := connect(t, s.URL, nil).Key(switchKeys).(rota.Lister).List(t.Context())
		wantError(t, err, rota.ClassStop, nil, "unknown authority", "tls_ca")
	})
	t.Run("a private address", func(t *testing.T) {
		s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }))
		defer s.Close()
		// localhost is a name: what it stands for is known only once it's looked up.
		c := connect(t, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), func(cfg *api.Config) { cfg.AllowPrivate = false })
		_, err := c.Key(switchKeys).(rota.Lister).List(t.Context())
		wantError(t, err, rota.ClassStop, nil, "private network", "allow_private")
	})
}

// A list whose pages are linked is read to its end, and no further than its API.
func TestLinkedPages(t *testing.T) {
	next := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("p") == "" {
			w.Header().Set("Link", `<`+next+`>; rel="next"`)
			_, _ = w.Write([]byte(`[{"id": 1}]`))
			return
		}
		_, _ = w.Write([]byte(`[{"id": 2}]`))
	}))
	defer s.Close()
	k := connect(t, s.URL+"/api", nil).Key(api.KeyConfig{List: api.ListRequest{Request: api.Request{Method: "GET", Path: "/keys"}, ID: "id"}})
	for link, want := range map[string]int{"/api/keys?p=2": 2, s.URL + "/api/keys?p=%7B2%7D": 2, "http://elsewhere.example.com/api/keys?p=2": -1, "/other/keys?p=2": -1} {
		next = link
		issued, err := k.(rota.Lister).List(t.Context())
		if want < 0 && err == nil || want >= 0 && len(issued) != want {
			t.Errorf("%s: %d keys (%v)", link, len(issued), err)
		}
	}
}

// A key whose creation was answered too late is found by its name.
func TestALostKeyIsRecognizedByItsName(t *testing.T) {
	s := switches(t)
	k := connect(t, s.URL, nil).Key(switchKeys)
	const version = "rota-0190a000-0000-7000-8000-000000000001"
	s.inject("create", "acts, and its reply is lost")
	if _, err := k.Create(t.Context(), rota.CreateRequest{Version: version}); err == nil {
		t.Fatal("the reply wasn't lost")
	}
	issued, err := k.(rota.Lister).List(t.Context())
	if err != nil || len(issued) != 1 || issued[0].Mark != version {
		t.Errorf("the list is %+v (%v)", issued, err)
	}
}

// A wrong path in rota.yaml is answered like a key that's gone: the list tells which,
// and its pages are found below a URL that ends with a slash, too.
func TestAWrongPathIsNotAKeyThatIsGone(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/keys" {
			http.NotFound(w, r)
			return
		}
		if r.URL.Query().Get("p") == "" {
			w.Header().Set("Link", `</keys?p=2>; rel="next"`)
			_, _ = w.Write([]byte(`[]`))
			return
		}
		_, _ = w.Write([]byte(`[{"id": "7", "on": "false"}]`))
	}))
	t.Cleanup(server.Close)
	for _, url := range []string{server.URL, server.URL + "/"} {
		k := connect(t, url, nil).Key(api.KeyConfig{
			List:   api.ListRequest{Request: api.Request{Method: "GET", Path: "/keys"}, ID: "id", Active: "on", On: "true"},
			Delete: api.Request{Method: "DELETE", Path: "/wrong/{id}"}, Deactivate: api.Request{Method: "POST", Path: "/wrong/{id}"}, Reactivate: api.Request{Method: "POST", Path: "/wrong/{id}"},
		})
		q := rota.RetireRequest{CredentialID: "7"}
		for name, err := range map[string]error{"delete": k.Delete(t.Context(), q), "deactivate": k.(rota.Deactivator).Deactivate(t.Context(), q)} {
			if err == nil || errors.Is(err, rota.ErrNotFound) || !strings.Contains(rota.Hint(rota.RemediesOf(err)), "the path of "+name) {
				t.Errorf("%s at %s: %v", name, url, err)
			}
		}
		q.CredentialID = "8" // really gone
		if err := k.Delete(t.Context(), q); err != nil {
			t.Errorf("delete what's gone: %v", err)
		}
	}
}

// A date without a time, or a time without its zone, counts as the last moment that it
// can mean: a use must never look older than it is.
func TestACoarseDateOfUseCountsAsItsEnd(t *testing.T) {
	for used, want := range map[string]string{
		"2026-03-01": "2026-03-02T12:00:00Z", "2026-03-01 10:00:00": "2026-03-01T22:00:00Z", "2026-03-01T10:00:00Z": "2026-03-01T10:00:00Z",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`[{"id": "7", "used": "` + used + `"}]`))
		}))
		t.Cleanup(server.Close)
		k := connect(t, server.URL, nil).Key(api.KeyConfig{List: api.ListRequest{Request: api.Request{Method: "GET", Path: "/keys"}, ID: "id", Used: "used"}})
		use, err := k.(rota.UseReporter).LastUsed(t.Context(), "7")
		if err != nil || use.At.Format(time.RFC3339) != want {
			t.Errorf("%s is read as %s, %v", used, use.At.Format(time.RFC3339), err)
		}
	}
}

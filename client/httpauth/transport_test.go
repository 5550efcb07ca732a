package httpauth_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/httpauth"
)

const name = "prod/parcels-api"

// service accepts one token, and remembers what it was sent.
type service struct {
	*httptest.Server
	mu      sync.Mutex
	accepts string
	seen    []string // tokens
	bodies  []string
}

func newService(t *testing.T, accepts string) *service {
	t.Helper()
	s := &service{accepts: accepts}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		token := r.Header.Get("Authorization")
		s.seen, s.bodies = append(s.seen, token), append(s.bodies, string(body))
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return
		}
		if token != s.accepts {
			http.Error(w, "no", http.StatusUnauthorized)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) accept(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepts = token
}

func (s *service) requests() (tokens, bodies []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, s.bodies
}

func secret(t *testing.T, source client.Source) *client.Secret {
	t.Helper()
	c, err := client.Open(client.Options{Source: source, Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.Secret(name)
}

func polled(token string) *clienttest.Source {
	source := clienttest.NewSource()
	source.DisablePush()
	source.Set(name, map[string]string{"token": token})
	return source
}

func bearer(t *testing.T, origin string, s *client.Secret) *http.Client {
	t.Helper()
	transport, err := httpauth.New(origin, s, httpauth.Bearer("token"), httpauth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: transport}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func post(t *testing.T, c *http.Client, url string, body io.Reader) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := r.Header.Get("Authorization"); got != "" {
		t.Errorf("the caller's request was given %q", got)
	}
	return resp.StatusCode
}

func TestARefusedTokenIsReplaced(t *testing.T) {
	source, s := polled("one"), newService(t, "Bearer one")
	c := bearer(t, s.URL, secret(t, source))
	if status := post(t, c, s.URL, strings.NewReader("parcel 1")); status != http.StatusOK {
		t.Fatal(status)
	}
	source.Set(name, map[string]string{"token": "two"})
	s.accept("Bearer two")
	if status := post(t, c, s.URL, strings.NewReader("parcel 2")); status != http.StatusOK {
		t.Error(status)
	}
	tokens, bodies := s.requests()
	if strings.Join(tokens, ", ") != "Bearer one, Bearer one, Bearer two" || strings.Join(bodies, ", ") != "parcel 1, parcel 2, parcel 2" {
		t.Errorf("%q with %q", tokens, bodies)
	}
}

// After a rollback the version before is the one that's accepted.
func TestTheVersionBeforeIsTried(t *testing.T) {
	source, s := polled("one"), newService(t, "Bearer one")
	source.Set(name, map[string]string{"token": "two"})
	if status := post(t, bearer(t, s.URL, secret(t, source)), s.URL, nil); status != http.StatusOK {
		t.Error(status)
	}
}

// A body that can't be read again isn't sent again. The next request has the new token.
func TestABodyThatCannotBeReadAgain(t *testing.T) {
	source, s := polled("one"), newService(t, "Bearer two")
	at := secret(t, source)
	if _, err := at.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	source.Set(name, map[string]string{"token": "two"})
	c := bearer(t, s.URL, at)
	if status := post(t, c, s.URL, io.NopCloser(bytes.NewBufferString("once"))); status != http.StatusUnauthorized {
		t.Error(status)
	}
	if status := post(t, c, s.URL, io.NopCloser(bytes.NewBufferString("once more"))); status != http.StatusOK {
		t.Error(status)
	}
	if tokens, _ := s.requests(); len(tokens) != 2 {
		t.Errorf("%d requests", len(tokens))
	}
}

func TestATokenThatNobodyAccepts(t *testing.T) {
	source, s := polled("one"), newService(t, "Bearer none of them")
	if status := post(t, bearer(t, s.URL, secret(t, source)), s.URL, nil); status != http.StatusUnauthorized {
		t.Error(status)
	}
	if tokens, _ := s.requests(); len(tokens) != 1 {
		t.Errorf("%d requests with the only token there is", len(tokens))
	}
}

func TestARedirectGetsNoToken(t *testing.T) {
	source, s, other := polled("one"), newService(t, "Bearer one"), newService(t, "")
	c := bearer(t, s.URL, secret(t, source))
	if status := post(t, c, s.URL+"?to="+other.URL, strings.NewReader("x")); status != http.StatusOK {
		t.Error(status)
	}
	// The same host under another name is another origin, too.
	alias := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	if status := post(t, c, s.URL+"?to="+alias, strings.NewReader("x")); status != http.StatusOK {
		t.Error(status)
	}
	if status := post(t, c, other.URL, strings.NewReader("x")); status != http.StatusOK {
		t.Error(status)
	}
	tokens, _ := other.requests()
	if len(tokens) != 3 || strings.Join(tokens, "") != "" {
		t.Errorf("another host got %q", tokens)
	}
	// And one back to the origin has it.
	if status := post(t, c, s.URL+"?to="+s.URL+"/other", strings.NewReader("x")); status != http.StatusOK {
		t.Error(status)
	}
}

func TestSchemes(t *testing.T) {
	v := client.NewValue("v1", map[string]string{"token": "t", "username": "u", "password": "p", "lines": "a\r\nX-Evil: b"})
	for scheme, want := range map[*httpauth.Scheme]http.Header{
		ptr(httpauth.Bearer("token")):               {"Authorization": {"Bearer t"}},
		ptr(httpauth.Header("x-api-key", "token")):  {"X-Api-Key": {"t"}},
		ptr(httpauth.Basic("username", "password")): {"Authorization": {"Basic dTpw"}},
		ptr(httpauth.Bearer("lines")):               nil,
		ptr(httpauth.Bearer("missing")):             nil,
		ptr(httpauth.Basic("missing", "password")):  nil,
		ptr(httpauth.Basic("username", "missing")):  nil,
	} {
		got := http.Header{}
		err := (*scheme)(got, v)
		if (err == nil) != (want != nil) || len(got) != len(want) {
			t.Errorf("%v, %v; want %v", got, err, want)
			continue
		}
		for key := range want {
			if got.Get(key) != want.Get(key) {
				t.Errorf("%v, want %v", got, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), "Evil") {
			t.Errorf("the error has the value: %v", err)
		}
	}
}

func ptr(s httpauth.Scheme) *httpauth.Scheme { return &s }

func TestOriginsThatAreRefused(t *testing.T) {
	s := secret(t, polled("one"))
	for _, origin := range []string{"", "api.example.com", "ftp://api.example.com", "https://", "https://u:canary@api.example.com", "https://api.example.com/v1", "https://api.example.com?a=b", "https://canary:\x7f"} {
		if _, err := httpauth.New(origin, s, httpauth.Bearer("token"), httpauth.Options{}); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", origin, err)
		}
	}
	if _, err := httpauth.New("https://api.example.com", s, nil, httpauth.Options{}); err == nil {
		t.Error("a transport without a scheme")
	}
	for _, origin := range []string{"https://api.example.com", "HTTPS://API.example.com:443/", "http://127.0.0.1:8080", "https://[::1]"} {
		if _, err := httpauth.New(origin, s, httpauth.Bearer("token"), httpauth.Options{}); err != nil {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/hint"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

const token = "rota_ROTAAAAAAAAAAAAAAAAA_a-token-that-must-not-be-shown"

func client(t *testing.T, url string) *api.Client {
	t.Helper()
	c, err := api.New(api.Options{URL: url, Token: api.StaticToken(token)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answering(t *testing.T, h http.HandlerFunc) *api.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return client(t, server.URL)
}

func TestOnlyAddressesThatKeepTheTokenAreTaken(t *testing.T) {
	for _, c := range []struct {
		url  string
		good bool
	}{
		{"https://rota.example.com", true},
		{"https://rota.example.com:8470/rota", true},
		{"http://127.0.0.1:8470", true},
		{"http://[::1]:8470", true},
		{"http://localhost:8470", true},
		{"http://rota.example.com", false},
		{"http://127.0.0.1.example.com", false},
		{"http://localhost.example.com", false},
		{"rota.example.com", false},
		{"ftp://rota.example.com", false},
		{"https://", false},
		{"https://ann:s3cret@rota.example.com", false},
		{"https://rota.example.com?token=s3cret", false},
		{"https://rota.example.com/%zz-s3cret", false},
	} {
		_, err := api.New(api.Options{URL: c.url, Token: api.StaticToken(token)})
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.url, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
	for _, bad := range []string{"", "two words", "line\nbreak", "über"} {
		c, err := api.New(api.Options{URL: "http://localhost:1", Token: api.StaticToken(bad)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "the token") || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the token %q: %v", bad, err)
		}
	}
}

func TestErrorsComeBackAsTheSame(t *testing.T) {
	usage := func(err error) bool { return errors.Is(err, api.ErrUsage) }
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	for _, c := range []struct {
		name    string
		problem api.Problem
		want    func(error) bool
		text    string
	}{
		{"a mistake", api.Problem{Type: api.TypeUsage, Status: 422, Detail: "no such name", Hint: "shop"}, usage, "no such name (try: shop)"},
		{"a field that is wrong", api.Problem{Type: "about:blank", Status: 422, Detail: "validation failed", Errors: []api.FieldError{{Field: "body.secrets", Detail: "too many"}}}, usage, "validation failed; body.secrets: too many"},
		{"denied", api.Problem{Type: api.TypeDenied, Status: 403, Detail: "ci may not"}, is(api.ErrDenied), "ci may not"},
		{"no such secret", api.Problem{Type: api.TypeNotFound, Status: 404, Detail: "no such name", Hint: "shop", Errors: []api.FieldError{{Field: api.FieldName, Detail: "no such secret"}}}, usage, "no such name (try: shop)"},
		{"not found", api.Problem{Type: api.TypeNotFound, Status: 404, Detail: "no version"}, is(rota.ErrNotFound), "no version"},
		{"busy", api.Problem{Type: api.TypeBusy, Status: 409, Detail: "somebody is at it"}, is(rota.ErrBusy), "somebody is at it"},
		{"not authenticated", api.Problem{Type: "about:blank", Status: 401, Detail: "not authenticated"}, is(api.ErrUnauthenticated), "not authenticated"},
		{"too often", api.Problem{Type: api.TypeLimited, Status: 429}, is(api.ErrLimited), "too many requests (try: again in 7s)"},
		{"failed", api.Problem{Type: api.TypeFailed, Status: 500, Detail: "disk full"}, func(err error) bool { return !usage(err) }, "disk full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			asked := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(c.problem.Status)
				_ = json.NewEncoder(w).Encode(c.problem)
			})
			_, err := asked.Verify(t.Context())
			if err == nil || !c.want(err) || hint.Text(err) != c.text {
				t.Errorf("%v, want %s", err, c.text)
			}
		})
	}
}

func TestAnAnswerThatIsNotRotasIsToldSo(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a page":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"a gateway": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := answering(t, h).Verify(t.Context())
			if err == nil || !strings.Contains(hint.Text(err), "(try: ") || strings.Contains(err.Error(), token) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestANameIsOneSegment(t *testing.T) {
	var paths []string
	asked := answering(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.Method+" "+r.RequestURI)
		if r.Header.Get("Authorization") != "Bearer "+token {
			t.Error("the token is missing")
		}
		if (r.Header.Get("Idempotency-Key") == "") != (r.Method == http.MethodGet) {
			t.Errorf("%s has the Idempotency-Key %q", r.Method, r.Header.Get("Idempotency-Key"))
		}
		fmt.Fprint(w, "{}")
	})
	calls := []func() error{
		func() error { _, err := asked.Versions(t.Context(), "prod/a b"); return err },
		func() error {
			_, err := asked.Get(t.Context(), api.GetRequest{Secret: "a", Field: "x", Label: rota.LabelCurrent})
			return err
		},
		func() error {
			_, err := asked.Plan(t.Context(), api.PlanRequest{Names: []string{"a", "b/c"}})
			return err
		},
		func() error { _, err := asked.Run(t.Context(), api.RunRequest{All: true}); return err },
		func() error {
			_, err := asked.Control(t.Context(), api.ControlRequest{Action: api.ControlFreeze})
			return err
		},
		func() error {
			return asked.ChangeAccess(t.Context(), api.AccessChange{Action: api.AccessCreatePrincipal, Name: "app/x"})
		},
		func() error {
			return asked.ChangeAccess(t.Context(), api.AccessChange{Action: api.AccessDisableKey, Name: "ROTA"})
		},
	}
	for _, call := range calls {
		if err := call(); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		"GET /v1/secrets/prod%2Fa%20b/versions", "GET /v1/secrets/a/value?field=x", "GET /v1/plan?name=a&name=b%2Fc", "POST /v1/run?all=true", "POST /v1/freeze",
		"PUT /v1/access/principals/app%2Fx", "POST /v1/access/keys/ROTA/disable",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestAllPagesAreAskedFor(t *testing.T) {
	pages := map[string]api.StatusDoc{
		"":  {Secrets: []api.StatusSecretDoc{{Secret: "a"}}, Unknown: []string{}, Next: "a"},
		"a": {Secrets: []api.StatusSecretDoc{{Secret: "b"}}, Unknown: []string{"x"}},
	}
	asked := answering(t, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(pages[r.URL.Query().Get("after")])
	})
	doc, err := asked.Status(t.Context(), api.StatusRequest{})
	want := api.StatusDoc{Secrets: []api.StatusSecretDoc{{Secret: "a"}, {Secret: "b"}}, Unknown: []string{"x"}}
	if diff := cmp.Diff(want, doc); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// A stream that breaks goes on after the last event.
func TestEventsAreFollowedOverALostConnection(t *testing.T) {
	connections := 0
	asked := answering(t, func(w http.ResponseWriter, r *http.Request) {
		connections++
		if after := r.URL.Query().Get("after"); connections == 2 && after != "7" {
			t.Errorf("it goes on after %q", after)
		}
		fmt.Fprint(w, "event: heartbeat\ndata: {}\n\n")
		fmt.Fprintf(w, "id: %d\nevent: entry\ndata: {\"secret\":\"cms\",\"step\":\"promote\",\"outcome\":\"ok\"}\n\n", 6+connections)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []int64
	err := asked.Follow(ctx, "", 0, func(e api.NumberedEvent) error {
		if e.Secret != "cms" || e.Outcome != rotation.OutcomeSucceeded {
			t.Errorf("%+v", e)
		}
		if got = append(got, e.Seq); len(got) == 2 {
			cancel()
		}
		return nil
	})
	if diff := cmp.Diff([]int64{7, 8}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// A stream that's one too many is asked for again when the server says.
func TestFollowingWaitsAsLongAsTheServerSays(t *testing.T) {
	var refused, accepted time.Time
	asked := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		if refused.IsZero() {
			refused = time.Now()
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusTooManyRequests)
			_ = json.NewEncoder(w).Encode(api.Problem{Type: api.TypeLimited, Status: http.StatusTooManyRequests, Detail: "too many open streams and long polls"})
			return
		}
		accepted = time.Now()
		fmt.Fprint(w, "id: 1\nevent: entry\ndata: {\"secret\":\"cms\",\"step\":\"promote\",\"outcome\":\"ok\"}\n\n")
	})
	enough := errors.New("enough")
	err := asked.Follow(t.Context(), "", 0, func(api.NumberedEvent) error { return enough })
	if wait := accepted.Sub(refused); !errors.Is(err, enough) || wait < 3*time.Second {
		t.Errorf("%v, after %s", err, wait)
	}
}

func TestFollowingEndsWhereNobodyMayListen(t *testing.T) {
	asked := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(api.Problem{Type: "about:blank", Status: http.StatusUnauthorized, Detail: "not authenticated"})
	})
	if err := asked.Follow(t.Context(), "", 0, nil); !errors.Is(err, api.ErrUnauthenticated) {
		t.Errorf("%v", err)
	}
}

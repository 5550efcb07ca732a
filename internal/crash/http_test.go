package crash

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	api "github.com/rota-dev/rota/provider/http"
	"github.com/rota-dev/rota/rotation"
)

func TestHTTPKeysThroughEveryFault(t *testing.T) {
	t.Parallel()
	whole := api.KeyConfig{
		Create: api.Request{Method: "POST", Path: "/keys", Body: `{"name": "{name}"}`}, Fields: map[string]string{"id": "id", "key": "value"},
		List:   api.ListRequest{Request: api.Request{Method: "GET", Path: "/keys"}, ID: "id", Name: "name", Created: "created", Used: "used", Active: "on", On: "true"},
		Test:   api.Request{Method: "GET", Path: "/me", Headers: map[string]string{"Authorization": "Bearer {key}"}},
		Delete: api.Request{Method: "DELETE", Path: "/keys/{id}"}, Deactivate: api.Request{Method: "POST", Path: "/keys/{id}/off"}, Reactivate: api.Request{Method: "POST", Path: "/keys/{id}/on"},
		Limit: 3,
	}
	nameless := whole
	nameless.Create.Body, nameless.List.Name, nameless.List.Active, nameless.Limit = `{}`, "", "", 0
	nameless.Deactivate, nameless.Reactivate = api.Request{}, api.Request{}
	matrix(t, "HTTP keys", 32,
		life{name: "a key of an API that knows everything", build: inOwnStore(httpKeys(whole)), kinds: fewKinds, steps: lifeOfKey},
		life{name: "a key of an API without names", build: inOwnStore(httpKeys(nameless)), kinds: fewKinds, steps: lifeOfToken},
	)
}

const apiAdmin = "admin-login"

// httpKeys are the keys of an API.
func httpKeys(cfg api.KeyConfig) func(testing.TB, *scene) fixture {
	return func(t testing.TB, s *scene) fixture {
		server := testenv.NewKeyAPI(apiAdmin, s.w.clock)
		front := s.w.before(server, "http", httpOp)
		connect := func() (rota.Issuer, error) {
			c, err := api.New("api", api.Config{URL: front.URL, Headers: map[string]string{"Authorization": "Bearer " + apiAdmin}, AllowPrivate: true})
			if err != nil {
				return nil, err
			}
			return c.Key(cfg), nil
		}
		issuer, err := connect()
		if err != nil {
			t.Fatal(err)
		}
		return fixture{
			connect: func(_ *process, secret *rotation.Secret) (err error) {
				secret.Issuer, err = connect()
				return err
			},
			traits: issuer.Traits(), id: issuer.CredentialID, marks: cfg.List.Name != "",
			works: func(c rota.Credential) (bool, error) { return server.Accepts(c.Field("key")), nil },
			exists: func() (map[string]bool, error) {
				exist := map[string]bool{}
				for _, k := range server.Keys() {
					exist[k.ID] = k.On
				}
				return exist, nil
			},
			close: front.Close,
		}
	}
}

// httpOp is what a request does.
func httpOp(r *http.Request) string {
	switch {
	case r.URL.Path == "/me":
		return "test"
	case strings.HasSuffix(r.URL.Path, "/off"):
		return "deactivate"
	case strings.HasSuffix(r.URL.Path, "/on"):
		return "reactivate"
	case r.Method == http.MethodPost:
		return "create"
	case r.Method == http.MethodDelete:
		return "delete"
	}
	return "list"
}

package crash

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/elasticsearch"
	"github.com/rota-dev/rota/provider/elasticsearch/elasticsearchtest"
	"github.com/rota-dev/rota/rotation"
)

func TestSearchKeysThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "Elasticsearch and OpenSearch keys", 32,
		life{name: "an Elasticsearch API key", build: inOwnStore(searchKeys(elasticsearch.Elasticsearch, 0)), kinds: fewKinds, steps: lifeOfUnseen},
		life{name: "an OpenSearch API key", build: inOwnStore(searchKeys(elasticsearch.OpenSearch, 0)), kinds: fewKinds, steps: lifeOfUnseen},
		life{name: "an Elasticsearch API key that ends before the policy rotates it", build: inOwnStore(searchKeys(elasticsearch.Elasticsearch, 60*rota.Day)), kinds: fewKinds, steps: []step{
			{name: "day 0", done: isIssued},
			{name: "day 40, a third of its life is left", after: 40 * rota.Day, done: isRotated},
			{name: "day 61, the previous one has ended", after: 21 * rota.Day, done: isDeleted},
			{name: "day 80", after: 19 * rota.Day, done: isRotated},
		}},
	)
}

// searchKeys are keys at a stand-in for a product, where somebody else has one too.
func searchKeys(product elasticsearch.Product, expiresAfter time.Duration) func(testing.TB, *scene) fixture {
	return func(t testing.TB, s *scene) fixture {
		server := elasticsearchtest.New(product == elasticsearch.OpenSearch)
		server.SetNow(s.w.clock)
		server.SetLongest(365 * rota.Day)
		other := server.Add("orders-eu", elasticsearchtest.Username)
		front := s.w.before(server.Config.Handler, "search", searchOp)
		connect := func() (*elasticsearch.APIKeys, error) {
			c, err := elasticsearch.New("main", elasticsearch.Config{Product: product, URL: front.URL, Username: elasticsearchtest.Username, Password: elasticsearchtest.Password, Now: s.w.clock})
			return &elasticsearch.APIKeys{Connection: c, KeyName: "orders", ExpiresAfter: expiresAfter}, err
		}
		keys, err := connect()
		if err != nil {
			t.Fatal(err)
		}
		return fixture{
			connect: func(_ *process, secret *rotation.Secret) (err error) {
				secret.Issuer, err = connect()
				return err
			},
			traits: keys.Traits(), id: keys.CredentialID, marks: true,
			works: func(c rota.Credential) (bool, error) {
				return server.Accepts(c.Field(elasticsearch.FieldID), c.Field(elasticsearch.FieldAPIKey)), nil
			},
			exists: func() (map[string]bool, error) {
				exist := map[string]bool{}
				for _, k := range server.Keys() {
					if k.ID != other.ID && k.Invalid.IsZero() {
						exist[k.ID] = true
					}
				}
				return exist, nil
			},
			intact: func() error {
				if !server.Accepts(other.ID, other.Value) {
					return errors.New("somebody else's key was invalidated")
				}
				return nil
			},
			close: func() {
				front.Close()
				server.Close()
			},
		}
	}
}

// searchOp is what a request to a cluster does.
func searchOp(r *http.Request) string {
	switch {
	case strings.HasPrefix(r.Header.Get("Authorization"), "ApiKey "):
		return "test"
	case r.Method == http.MethodPost:
		return "create"
	case r.Method == http.MethodDelete:
		return "delete"
	}
	return "list"
}

package elasticsearch_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/elasticsearch"
	"github.com/rota-dev/rota/provider/elasticsearch/elasticsearchtest"
	"github.com/rota-dev/rota/provider/providertest"
)

var products = []elasticsearch.Product{elasticsearch.Elasticsearch, elasticsearch.OpenSearch}

// start gives a cluster of a product and its keys called orders.
func start(t *testing.T, product elasticsearch.Product) (*elasticsearchtest.Server, *elasticsearch.APIKeys) {
	t.Helper()
	server := elasticsearchtest.New(product == elasticsearch.OpenSearch)
	t.Cleanup(server.Close)
	connection, err := elasticsearch.New("main", elasticsearch.Config{Product: product, URL: server.URL, Username: elasticsearchtest.Username, Password: elasticsearchtest.Password})
	if err != nil {
		t.Fatal(err)
	}
	return server, &elasticsearch.APIKeys{Connection: connection, KeyName: "orders"}
}

func TestTheIssuersConform(t *testing.T) {
	for _, product := range products {
		t.Run(string(product), func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				server, keys := start(t, product)
				keys.IndexPermissions = []elasticsearch.IndexPermission{{Patterns: []string{"orders-*"}, Actions: []string{"read"}}}
				requests := map[string]string{"create": "POST /_security/api_key", "list": "GET /_security/api_key", "test": "GET /_security/_authenticate", "delete": "DELETE /_security/api_key"}
				if product == elasticsearch.OpenSearch {
					requests = map[string]string{"create": "POST /apitokens", "list": "GET /apitokens", "test": "GET /$", "delete": "DELETE /apitokens/"}
				}
				inject := server.Inject(requests)
				return providertest.IssuerFixture{Issuer: keys, UnknownID: "no-such-key", Inject: func(op string, kind providertest.FaultKind) bool {
					if op != "test" || product == elasticsearch.OpenSearch {
						return inject(op, kind)
					}
					// A creation asks there, too, who is logged in.
					server.When(func(r *http.Request) bool {
						return strings.HasSuffix(r.URL.Path, "/_security/_authenticate") && strings.HasPrefix(r.Header.Get("Authorization"), "ApiKey ")
					}, kind)
					return true
				}}
			})
		})
	}
}

func create(t *testing.T, keys *elasticsearch.APIKeys, version string) rota.Credential {
	t.Helper()
	c, err := keys.Create(t.Context(), rota.CreateRequest{Version: version})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

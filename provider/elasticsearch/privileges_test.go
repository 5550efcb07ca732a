package elasticsearch_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/elasticsearch"
)

// A key never gets more than its user has, and Elasticsearch doesn't say that it got
// less.
func TestAKeyThatWouldGetLessIsSeen(t *testing.T) {
	const descriptors = `{"a": {"cluster": ["monitor"], "indices": [{"names": "orders-*", "privileges": ["read", "write"]}]}, "b": {"index": [{"names": ["logs"], "privileges": ["read"]}]}}`
	for lacks, want := range map[string]string{"": "", "write": "write on orders-*", "monitor": "monitor", "read": "read on logs, read on orders-*"} {
		server, issuer := start(t, elasticsearch.Elasticsearch)
		issuer.RoleDescriptors = descriptors
		server.Lack(lacks)
		findings := issuer.Preflight(t.Context())
		i := slices.IndexFunc(findings, func(f rota.Finding) bool { return strings.Contains(f.Check, "what its keys") })
		if i < 0 {
			t.Fatalf("%q: no finding in %+v", lacks, findings)
		}
		if f := findings[i]; f.OK != (want == "") || f.Warning == f.OK || !f.OK && !strings.Contains(f.Detail, "lacks "+want+",") {
			t.Errorf("%q: %+v", lacks, f)
		}
	}
}

// What a cluster without security answers, and one that has as many keys as it may, is
// for a person. Other requests wouldn't fare better.
func TestAnswersThatOnlyAPersonCanChange(t *testing.T) {
	for answer, want := range map[string]string{
		`400 {"error": "no handler found for uri [/_security/api_key] and method [POST]"}`:                                             "xpack.security.enabled: true",
		`400 {"error": {"type": "invalid_index_name_exception", "reason": "Invalid index name [_security], must not start with '_'"}}`: "xpack.security.enabled: true",
		`500 {"error": {"type": "exception", "reason": "Enable security by setting [xpack.security.enabled] to [true]"}}`:              "xpack.security.enabled: true",
		`429 {"error": "Maximum limit of 100 API tokens reached. Please delete existing tokens before creating new ones."}`:            "revoke API keys that nobody uses",
	} {
		for _, product := range products {
			server, issuer := start(t, product)
			status, body, _ := strings.Cut(answer, " ")
			server.Answer("POST", "", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(map[string]int{"400": 400, "429": 429, "500": 500}[status])
				_, _ = w.Write(json.RawMessage(body))
			})
			_, err := issuer.Create(t.Context(), rota.CreateRequest{Version: version})
			if rota.ClassOf(err) != rota.ClassStop || !strings.Contains(rota.Hint(rota.RemediesOf(err)), want) {
				t.Errorf("%s: %v, class %s, %s", status, err, rota.ClassOf(err), rota.Hint(rota.RemediesOf(err)))
			}
		}
	}
}

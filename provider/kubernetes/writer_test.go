package kubernetes

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// Not all that keeps a Secret in sync is its controller: cert-manager isn't by default,
// nor External Secrets with creationPolicy Merge or Orphan.
func TestASecretThatSomethingElseWritesIsHeldBeforehand(t *testing.T) {
	for name, test := range map[string]struct {
		metadata map[string]any
		manager  string
		key      string
		says     string // "" if it's fine
	}{
		"cert-manager":                          {map[string]any{"annotations": map[string]string{"cert-manager.io/certificate-name": "shop"}}, "test", "tls.crt", "Certificate shop writes it, too"},
		"the Secrets Store CSI driver":          {map[string]any{"labels": map[string]string{"secrets-store.csi.k8s.io/managed": "true"}}, "test", "password", "the Secrets Store CSI driver writes it, too"},
		"External Secrets has Rota's key":       {nil, "externalsecrets.external-secrets.io/shop", "password", "ExternalSecret shop writes it, too"},
		"External Secrets has another key":      {nil, "externalsecrets.external-secrets.io/shop", "host", ""},
		"somebody has Rota's key, once and for": {nil, "kubectl-edit", "password", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			c.make("stringData: {other: stays}")
			body := map[string]any{"stringData": map[string]string{test.key: "theirs"}}
			if test.metadata != nil {
				body["metadata"] = test.metadata
			}
			c.Do(t, http.MethodPatch, pathOf("", c.namespace, "secrets", "orders")+"?fieldManager="+test.manager, body, nil)
			target := c.target(c.admin())
			target.Adopt, target.Content.Fields = true, fields(t, map[string]string{"username": "username", "password": "password"})
			before := c.values("orders")
			f := testenv.FindingOf(t, target, "write Secret")
			err := target.Deliver(t.Context(), delivery(canary))
			if test.says == "" {
				if !f.OK || err != nil {
					t.Errorf("preflight: %+v, delivery: %v", f, err)
				}
				return
			}
			if f.OK || f.Warning || !strings.Contains(f.Detail, test.says) {
				t.Errorf("preflight: %+v", f)
			}
			wantError(t, err, rota.ClassStop, nil, test.says, "let Rota write to what")
			if got := c.values("orders"); !maps.Equal(got, before) {
				t.Errorf("it was overwritten: %v", got)
			}
		})
	}
}

package oidc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/oidc"
	"github.com/rota-dev/rota/internal/access/oidc/oidctest"
)

func TestBindings(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	read, rotate := access.Rule{Action: access.Read, Pattern: "a"}, access.Rule{Action: access.Rotate, Pattern: "b"}
	i := trusting(p)
	i.Name = "k8s"
	i.Bindings = []oidc.Binding{
		{Claims: map[string]string{"kubernetes.io/namespace": "shop"}, Principal: "{kubernetes.io/serviceaccount/name}", Rules: []access.Rule{read}},
		{Claims: map[string]string{"groups": "ops"}, Rules: []access.Rule{rotate}},
		{Claims: map[string]string{"project_id": "42"}, Principal: "project-{project_id}", Rules: []access.Rule{read}},
		{Claims: map[string]string{"https://example.com/team": "x"}, Principal: "team", Rules: []access.Rule{read}},
	}
	v := verifier(t, &clock{}, i)
	pod := map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": "orders"}}
	for _, c := range []struct {
		name   string
		claims map[string]any
		want   access.Caller // none where it has no principal
	}{
		{"a claim inside another", map[string]any{"kubernetes.io": pod}, access.Caller{Principal: "oidc:k8s:orders", Rules: []access.Rule{read}}},
		{"several bindings: the first names, all give", map[string]any{"kubernetes.io": pod, "groups": []string{"dev", "ops"}}, access.Caller{Principal: "oidc:k8s:orders", Rules: []access.Rule{read, rotate}}},
		{"one of a list, named by default after sub", map[string]any{"groups": []any{1, "ops"}, "sub": "anna"}, access.Caller{Principal: "oidc:k8s:anna", Rules: []access.Rule{rotate}}},
		{"a number", map[string]any{"project_id": 42}, access.Caller{Principal: "oidc:k8s:project-42", Rules: []access.Rule{read}}},
		{"a claim with slashes of its own", map[string]any{"https://example.com/team": "x"}, access.Caller{Principal: "oidc:k8s:team", Rules: []access.Rule{read}}},
		{"a part of an element", map[string]any{"groups": []string{"devops"}}, access.Caller{}},
		{"nothing that matches", map[string]any{"groups": map[string]any{"ops": true}}, access.Caller{}},
		{"a number that is not exact", map[string]any{"project_id": 42.5}, access.Caller{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			caller, err := v.Verify(t.Context(), p.Sign(t, good(c.claims)))
			if c.want.Principal != "" {
				c.want.Method = "oidc"
			}
			if diff := cmp.Diff(c.want, caller); diff != "" || (err == nil) != (c.want.Principal != "") {
				t.Errorf("error %v, caller (-want +got):\n%s", err, diff)
			}
		})
	}
}

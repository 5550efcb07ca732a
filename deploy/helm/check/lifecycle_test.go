package check

import (
	"net/http"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
)

// The namespaces of these tests refuse what the chart must not make.
func TestTheNamespaceEnforcesPodSecurity(t *testing.T) {
	s := cluster.Get(t)
	namespace := restricted(t, s)
	err := s.Try(t.Context(), http.MethodPost, path(namespace, "v1", "pods"), map[string]any{
		"metadata": map[string]any{"name": "loose"}, "spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": "i"}}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
		t.Errorf("a pod without a security context: %v", err)
	}
}

func TestInstallUpgradeRollBackAndUninstallKeepTheStore(t *testing.T) {
	s := cluster.Get(t)
	namespace := restricted(t, s)
	node(t, s, namespace)
	c, _ := helm(t, s, namespace)
	claim := func() string {
		t.Helper()
		o := get(t, s, namespace, "v1", "persistentvolumeclaims/rota")
		if at := o.at("metadata", "deletionTimestamp"); at != nil {
			t.Errorf("the claim is being deleted since %v", at)
		}
		return o.text("metadata", "uid")
	}
	ready := func(env, want string) {
		t.Helper()
		o := get(t, s, namespace, "apps/v1", "deployments/rota")
		if n, _ := o.at("status", "availableReplicas").(float64); n != 1 {
			t.Errorf("%v replicas are available", o.at("status", "availableReplicas"))
		}
		if v := o.text("spec", "template", "spec", "volumes", "name"); v == "" {
			t.Error("no volumes")
		}
		if got := envOf(o)[env]; got != want {
			t.Errorf("%s is %q, want %q", env, got, want)
		}
	}

	install(t, c, namespace, values{})
	uid := claim()
	ready("ROTA_LOG_LEVEL", "info")

	test := action.NewReleaseTesting(c)
	test.Namespace, test.Timeout = namespace, patience
	if _, _, err := test.Run("rota"); err != nil {
		t.Errorf("helm test: %v", err)
	}

	upgrade(t, c, namespace, parse(t, "{server: {logLevel: debug}, config: {secrets: [{name: licence, issuer: {manual: {what: a licence key}}, owner: me, policy: {rotate_every: 90d}}]}}"))
	ready("ROTA_LOG_LEVEL", "debug")
	if text := get(t, s, namespace, "v1", "configmaps/rota").text("data", "rota.yaml"); !strings.Contains(text, "licence") {
		t.Errorf("the configuration is still:\n%s", text)
	}
	if got := claim(); got != uid {
		t.Errorf("the upgrade made another claim, %s instead of %s", got, uid)
	}

	back := action.NewRollback(c)
	back.Version, back.WaitStrategy, back.Timeout = 1, kube.StatusWatcherStrategy, patience
	if err := back.Run("rota"); err != nil {
		t.Fatal(err)
	}
	ready("ROTA_LOG_LEVEL", "info")
	if got := claim(); got != uid {
		t.Errorf("the rollback made another claim, %s instead of %s", got, uid)
	}

	remove := action.NewUninstall(c)
	remove.WaitStrategy, remove.Timeout = kube.StatusWatcherStrategy, patience
	if _, err := remove.Run("rota"); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{path(namespace, "apps/v1", "deployments/rota"), path(namespace, "v1", "configmaps/rota"), path(namespace, "v1", "serviceaccounts/rota")} {
		if err := s.Try(t.Context(), http.MethodGet, gone, nil, nil); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("%s is left: %v", gone, err)
		}
	}
	if got := claim(); got != uid {
		t.Errorf("after helm uninstall the claim is %s, want %s", got, uid)
	}

	install(t, c, namespace, values{})
	ready("ROTA_LOG_LEVEL", "info")
	if got := claim(); got != uid {
		t.Errorf("the next installation has another claim, %s instead of %s", got, uid)
	}
}

// Everything that the chart makes is accepted by the API server, and its pods by Pod
// Security.
func TestTheExamplesAreInstalled(t *testing.T) {
	s := cluster.Get(t)
	if s.Try(t.Context(), http.MethodGet, "/api/v1/namespaces/shop", nil, nil) != nil {
		s.Do(t, http.MethodPost, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": "shop"}}, nil)
	}
	for name, v := range ciValues(t) {
		if name == "monitoring" {
			continue // its kinds are the Prometheus Operator's: TestTheOperatorsKinds
		}
		t.Run(name, func(t *testing.T) {
			namespace := restricted(t, s)
			node(t, s, namespace)
			c, _ := helm(t, s, namespace)
			install(t, c, namespace, v)
			o := get(t, s, namespace, "apps/v1", "deployments/rota")
			if o.at("status", "availableReplicas") != o.at("spec", "replicas") {
				t.Errorf("%v of %v replicas are available", o.at("status", "availableReplicas"), o.at("spec", "replicas"))
			}
		})
	}
}

// envOf are the environment variables with a value of a Deployment's container.
func envOf(deployment object) map[string]string {
	env := map[string]string{}
	list, _ := deployment.at("spec", "template", "spec", "containers", "env").([]any)
	for _, e := range list {
		v := object(e.(map[string]any))
		env[v.text("name")] = v.text("value")
	}
	return env
}

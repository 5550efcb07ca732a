package check

import (
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
)

func TestTheChartPassesHelmsLinter(t *testing.T) {
	all := ciValues(t)
	all["default"] = values{}
	for name, v := range all {
		t.Run(name, func(t *testing.T) {
			lint := action.NewLint()
			lint.Strict, lint.Namespace = true, "rota"
			result := lint.Run([]string{chartFolder}, v)
			for _, err := range result.Errors {
				t.Error(err)
			}
			for _, m := range result.Messages {
				if !strings.Contains(m.Err.Error(), "icon is recommended") {
					t.Error(m)
				}
			}
			if result.TotalChartsLinted != 1 {
				t.Errorf("%d charts", result.TotalChartsLinted)
			}
		})
	}
}

// A wrong value is refused before anything reaches the cluster, with a text that says
// what to do.
func TestWrongValuesAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ values, want string }{
		"an unknown value":              {"replcas: 2", "replcas"},
		"an unknown value further down": {"server: {tls: {secret: x}}", "secret"},
		"a text for a number":           {"replicas: two", "replicas"},
		"a privileged port":             {"server: {port: 443}", "port"},
		"a tag as a digest":             {"image: {digest: latest}", "digest"},
		"a log level":                   {"server: {logLevel: trace}", "logLevel"},
		"a rule without verbs":          {"rbac: {clusterRules: [{apiGroups: [x], resources: [y]}]}", "verbs"},
		"a key service that isn't one":  {"masterKey: {url: 'file:///x'}", "url"},
		"too short to stop":             {"terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds"},
		"a network of proxies":          {"server: {trustedProxies: [10.0.0.1]}", "trustedProxies"},

		"replicas on SQLite":            {"replicas: 2", "set database.existingSecret"},
		"replicas without a key":        {"{replicas: 2, database: {existingSecret: db}}", "set masterKey.url"},
		"a key that's lost with a pod":  {"{database: {existingSecret: db}, persistence: {enabled: false}}", "masterKey.existingSecret, or persistence.enabled"},
		"two master keys":               {"masterKey: {url: 'awskms:///alias/x', existingSecret: k}", "leave one out"},
		"two configurations":            {"{existingConfigMap: a, existingConfigSecret: b}", "leave one out"},
		"a monitor of nothing":          {"serviceMonitor: {enabled: true}", "set server.tls.existingSecret"},
		"roles for everyone's account":  {"{controller: {enabled: true}, serviceAccount: {create: false}}", "set serviceAccount.name"},
		"a wildcard for the cluster":    {"rbac: {clusterRules: [{apiGroups: [''], resources: [secrets], verbs: ['*']}]}", "rota policy kubernetes --helm-values"},
		"a wildcard for a namespace":    {"rbac: {namespaces: {shop: [{apiGroups: ['*'], resources: [secrets], verbs: [get]}]}}", "rbac.namespaces.shop"},
		"a text without the TLS":        {"{config: 'secrets: []', server: {tls: {existingSecret: t}}}", "server: {tls: {cert: /etc/rota/tls/tls.crt"},
		"a text without the proxies":    {"{config: 'secrets: []', server: {trustedProxies: [10.0.0.0/8]}}", "no server.trusted_proxies"},
		"a configuration that's a list": {"config: '- a'", "isn't a YAML mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render(t, parse(t, c.values))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// What each choice adds or leaves out.
func TestWhatTheChartMakes(t *testing.T) {
	shared := "database: {existingSecret: db}, masterKey: {existingSecret: k}"
	const rbac = "rbac: {namespaces: {shop: [{apiGroups: [''], resources: [secrets], resourceNames: [orders], verbs: [get]}]}}"
	for name, c := range map[string]struct {
		values string
		want   string
	}{
		"by default":       {"{}", "ConfigMap Deployment PersistentVolumeClaim ServiceAccount"},
		"no volume":        {"persistence: {enabled: false}", "ConfigMap Deployment ServiceAccount"},
		"a claim of yours": {"persistence: {existingClaim: mine}", "ConfigMap Deployment ServiceAccount"},
		"a ConfigMap":      {"existingConfigMap: mine", "Deployment PersistentVolumeClaim ServiceAccount"},
		"TLS":              {"server: {tls: {existingSecret: t}}", "ConfigMap Deployment PersistentVolumeClaim Service ServiceAccount"},
		"one on a database, whose key is on the volume": {"database: {existingSecret: db}", "ConfigMap Deployment PersistentVolumeClaim ServiceAccount"},
		"one of several":     {"{" + shared + "}", "ConfigMap Deployment ServiceAccount"},
		"several":            {"{replicas: 2, " + shared + "}", "ConfigMap Deployment PodDisruptionBudget ServiceAccount"},
		"rules":              {rbac, "ConfigMap Deployment PersistentVolumeClaim Role RoleBinding ServiceAccount"},
		"rules of your own":  {"{serviceAccount: {create: false, name: mine}, " + rbac + "}", "ConfigMap Deployment PersistentVolumeClaim Role RoleBinding"},
		"no roles":           {"rbac: {create: false, namespaces: {shop: [{apiGroups: [''], resources: [pods], verbs: [get]}]}}", "ConfigMap Deployment PersistentVolumeClaim ServiceAccount"},
		"a network policy":   {"networkPolicy: {enabled: true}", "ConfigMap Deployment NetworkPolicy PersistentVolumeClaim ServiceAccount"},
		"alerts":             {"prometheusRule: {enabled: true}", "ConfigMap Deployment PersistentVolumeClaim PrometheusRule ServiceAccount"},
		"a monitor and more": {"{serviceMonitor: {enabled: true}, server: {trustedProxies: [10.0.0.0/8]}}", "ConfigMap Deployment PersistentVolumeClaim Service ServiceAccount ServiceMonitor"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(kinds(rendered(t, parse(t, c.values))), " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func deployment(t *testing.T, text string) object {
	t.Helper()
	return rendered(t, parse(t, text))["Deployment"][0]
}

func TestThePodGetsATokenOnlyWhereItLogsIn(t *testing.T) {
	for text, want := range map[string]bool{
		"{}":                                false,
		"controller: {enabled: true}":       true,
		"serviceAccount: {automount: true}": true,
		"rbac: {namespaces: {shop: [{apiGroups: [''], resources: [pods], verbs: [get]}]}}":                                       true,
		"{serviceAccount: {automount: false}, rbac: {clusterRules: [{apiGroups: [''], resources: [namespaces], verbs: [get]}]}}": false,
	} {
		if got := deployment(t, text).at("spec", "template", "spec", "automountServiceAccountToken"); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestTheStrategyFitsTheVolume(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                             "Recreate",
		"persistence: {enabled: false}":  "RollingUpdate",
		"database: {existingSecret: db}": "Recreate",
		"{replicas: 3, database: {existingSecret: db}, masterKey: {url: 'awskms:///alias/x'}}": "RollingUpdate",
	} {
		if got := deployment(t, text).text("spec", "strategy", "type"); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// Rota reads its configuration again by itself, but for server. Restarting it for
// anything else would interrupt what's in flight.
func TestOnlyTheServersSettingsRestartThePod(t *testing.T) {
	sum := func(text string) string {
		return deployment(t, text).text("spec", "template", "metadata", "annotations", "checksum/server")
	}
	before := sum("config: {secrets: [], server: {metrics: admin}}")
	if before == "" {
		t.Fatal("no checksum")
	}
	for text, same := range map[string]bool{
		"config: {secrets: [], server: {metrics: admin}, connections: {a: {aws: {}}}}": true,
		"config: 'server: {metrics: admin}'":                                           true,
		"config: {secrets: [], server: {metrics: open}}":                               false,
		"config: {secrets: []}":                                                        false,
	} {
		if got := sum(text); (got == before) != same {
			t.Errorf("%s: the pod is restarted: %v", text, same)
		}
	}
	a, b := deployment(t, "{}"), deployment(t, "{}")
	if a.text("spec", "template", "metadata", "annotations", "checksum/server") != b.text("spec", "template", "metadata", "annotations", "checksum/server") {
		t.Error("the same values differ")
	}
}

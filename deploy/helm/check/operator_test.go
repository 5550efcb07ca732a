package check

import (
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

// The Prometheus Operator's kinds, read with its own types: its definitions aren't in
// the control plane.
func TestTheOperatorsKinds(t *testing.T) {
	byKind := rendered(t, ciValues(t)["monitoring"])
	strict := func(kind string, into any) {
		t.Helper()
		if len(byKind[kind]) != 1 {
			t.Fatalf("%d objects of the kind %s", len(byKind[kind]), kind)
		}
		text, err := yaml.Marshal(byKind[kind][0])
		must(t, err)
		must(t, yaml.UnmarshalStrict(text, into))
	}
	var m monitoring.ServiceMonitor
	strict("ServiceMonitor", &m)
	service := byKind["Service"][0]
	e := m.Spec.Endpoints[0]
	if e.Port != service.text("spec", "ports", "name") || e.Path != "/metrics" || e.Scheme == nil || *e.Scheme != "https" || e.TLSConfig == nil ||
		e.TLSConfig.CA.Secret == nil || e.TLSConfig.CA.Secret.Name != "rota-tls" {
		t.Errorf("the monitor scrapes %+v", e)
	}
	// The alerts' job="rota" is the value of this label of the Service.
	if got := service.text("metadata", "labels", m.Spec.JobLabel); got != "rota" {
		t.Errorf("the job is called %q", got)
	}
	for label, value := range m.Spec.Selector.MatchLabels {
		if service.text("metadata", "labels", label) != value {
			t.Errorf("the monitor selects %s=%s, which the Service hasn't", label, value)
		}
	}
	var r monitoring.PrometheusRule
	strict("PrometheusRule", &r)
	if len(r.Spec.Groups) != 1 || len(r.Spec.Groups[0].Rules) < 9 || r.Labels["release"] != "prometheus" {
		t.Errorf("the alerts are %+v", r.Spec.Groups)
	}
}

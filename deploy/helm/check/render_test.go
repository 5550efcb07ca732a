package check

import (
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/loader"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	release "helm.sh/helm/v4/pkg/release/v1"
	"sigs.k8s.io/yaml"
)

const chartFolder = "../rota"

// values are a chart's, as Helm takes them.
type values = map[string]any

func loadChart(t *testing.T) *chart.Chart {
	t.Helper()
	loaded, err := loader.Load(chartFolder)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.(*chart.Chart)
}

// parse reads values written as YAML.
func parse(t *testing.T, text string) values {
	t.Helper()
	v := values{}
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// ciValues are the chart's examples, by the name of their files.
func ciValues(t *testing.T) map[string]values {
	t.Helper()
	files, err := filepath.Glob(chartFolder + "/ci/*-values.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d examples of values: %v", len(files), err)
	}
	all := map[string]values{}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), "-values.yaml")] = parse(t, string(text))
	}
	return all
}

// render is helm template.
func render(t *testing.T, v values) (*release.Release, error) {
	t.Helper()
	i := action.NewInstall(action.NewConfiguration(action.ConfigurationSetLogger(slog.NewTextHandler(io.Discard, nil))))
	i.DryRunStrategy, i.ReleaseName, i.Namespace = action.DryRunClient, "rota", "rota"
	i.KubeVersion = &common.KubeVersion{Version: "v1.35.4", Major: "1", Minor: "35"}
	made, err := i.RunWithContext(t.Context(), loadChart(t), v)
	if err != nil {
		return nil, err
	}
	return made.(*release.Release), nil
}

// object is one of the chart's, in whatever kind.
type object map[string]any

// at follows keys, and the only item of a list.
func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, key := range path {
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

func (o object) text(path ...string) string {
	text, _ := o.at(path...).(string)
	return text
}

func (o object) id() string { return o.text("kind") + " " + o.text("metadata", "name") }

func objectsOf(t *testing.T, manifest string) []object {
	t.Helper()
	var all []object
	for document := range strings.SplitSeq(manifest, "\n---") {
		o := object{}
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if len(o) > 0 {
			all = append(all, o)
		}
	}
	return all
}

// rendered are the objects that the chart makes of values, by kind.
func rendered(t *testing.T, v values) map[string][]object {
	t.Helper()
	r, err := render(t, v)
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[string][]object{}
	for _, o := range objectsOf(t, r.Manifest) {
		byKind[o.text("kind")] = append(byKind[o.text("kind")], o)
	}
	return byKind
}

func kinds(byKind map[string][]object) []string { return slices.Sorted(maps.Keys(byKind)) }

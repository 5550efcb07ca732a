package check

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/kube"

	"github.com/rota-dev/rota/internal/testenv"
)

// patience is how long Helm waits for what it has applied.
const patience = time.Minute

// restricted makes a namespace in which the API server enforces Pod Security
// "restricted".
func restricted(t *testing.T, s *testenv.KubernetesServer) string {
	t.Helper()
	namespace := s.Namespace(t)
	s.Do(t, http.MethodPatch, "/api/v1/namespaces/"+namespace, map[string]any{"metadata": map[string]any{"labels": map[string]any{
		"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}}}, nil)
	return namespace
}

// helm is Helm's own configuration for a namespace, and the getter it's made of.
func helm(t *testing.T, s *testenv.KubernetesServer, namespace string) (*action.Configuration, *cli.EnvSettings) {
	t.Helper()
	settings := cli.New()
	settings.KubeConfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(settings.KubeConfig, []byte(s.Kubeconfig(s.AdminToken)), 0o600); err != nil {
		t.Fatal(err)
	}
	settings.SetNamespace(namespace)
	c := action.NewConfiguration(action.ConfigurationSetLogger(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})))
	if err := c.Init(settings.RESTClientGetter(), namespace, "secret"); err != nil {
		t.Fatal(err)
	}
	return c, settings
}

// install is helm install --wait.
func install(t *testing.T, c *action.Configuration, namespace string, v values) {
	t.Helper()
	i := action.NewInstall(c)
	i.ReleaseName, i.Namespace, i.WaitStrategy, i.Timeout = "rota", namespace, kube.StatusWatcherStrategy, patience
	if _, err := i.RunWithContext(t.Context(), loadChart(t), v); err != nil {
		t.Fatal(err, happened(t, namespace))
	}
}

// upgrade is helm upgrade --wait.
func upgrade(t *testing.T, c *action.Configuration, namespace string, v values) {
	t.Helper()
	u := action.NewUpgrade(c)
	u.Namespace, u.WaitStrategy, u.Timeout = namespace, kube.StatusWatcherStrategy, patience
	if _, err := u.RunWithContext(t.Context(), "rota", loadChart(t), v); err != nil {
		t.Fatal(err)
	}
}

// node stands in, until the test ends, for what the control plane lacks: it binds pods
// to the fake node, as a scheduler does, and claims to volumes, as a provisioner does.
// The pods of helm test it runs itself, with the program.
func node(t *testing.T, s *testenv.KubernetesServer, namespace string) {
	t.Helper()
	program := rota(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			schedule(ctx, t, s, namespace, program)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// schedule does what's to be done now. What fails is tried again.
func schedule(ctx context.Context, t *testing.T, s *testenv.KubernetesServer, namespace, program string) {
	base := "/api/v1/namespaces/" + namespace
	var pods struct {
		Items []struct {
			Metadata struct {
				Name   string
				Labels map[string]string
			}
			Spec   struct{ Containers []container }
			Status struct{ Phase string }
		}
	}
	if s.Try(ctx, http.MethodGet, base+"/pods?fieldSelector=spec.nodeName=", nil, &pods) != nil {
		return
	}
	for _, p := range pods.Items {
		at := base + "/pods/" + p.Metadata.Name
		if !strings.HasSuffix(p.Metadata.Labels["app.kubernetes.io/name"], "-test") {
			if err := s.Try(ctx, http.MethodPost, at+"/binding", map[string]any{"metadata": map[string]any{"name": p.Metadata.Name}, "target": map[string]any{"kind": "Node", "name": testenv.KubernetesNode}}, nil); err != nil && ctx.Err() == nil {
				t.Log(err) // it's tried again
			}
			continue
		}
		if p.Status.Phase != "Pending" {
			continue
		}
		phase := "Succeeded"
		for _, c := range p.Spec.Containers {
			if out, err := runTest(ctx, s, namespace, program, c); err != nil {
				phase = "Failed"
				t.Logf("%s: %v: %s", c.Name, err, out)
			}
		}
		_ = s.Try(ctx, http.MethodPatch, at+"/status", map[string]any{"status": map[string]any{"phase": phase}}, nil)
	}
	var claims struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct{ Phase string }
		}
	}
	if s.Try(ctx, http.MethodGet, base+"/persistentvolumeclaims", nil, &claims) != nil {
		return
	}
	for _, c := range claims.Items {
		if c.Status.Phase != "Bound" {
			_ = s.Try(ctx, http.MethodPatch, base+"/persistentvolumeclaims/"+c.Metadata.Name+"/status", map[string]any{"status": map[string]any{"phase": "Bound"}}, nil)
		}
	}
}

type container struct {
	Name string
	Args []string
}

// runTest runs a container of helm test with the ConfigMap as the API server has it.
func runTest(ctx context.Context, s *testenv.KubernetesServer, namespace, program string, c container) ([]byte, error) {
	var config struct{ Data map[string]string }
	if err := s.Try(ctx, http.MethodGet, "/api/v1/namespaces/"+namespace+"/configmaps/rota", nil, &config); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rota-test-pod-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.WriteFile(filepath.Join(dir, "rota.yaml"), []byte(config.Data["rota.yaml"]), 0o600); err != nil {
		return nil, err
	}
	args := make([]string, len(c.Args))
	for i, a := range c.Args {
		args[i] = strings.ReplaceAll(a, "/etc/rota/config", dir)
	}
	return exec.CommandContext(ctx, program, args...).CombinedOutput()
}

// get reads an object of the namespace, such as deployments/rota of apps/v1.
func get(t *testing.T, s *testenv.KubernetesServer, namespace, group, resource string) object {
	t.Helper()
	o := object{}
	s.Do(t, http.MethodGet, path(namespace, group, resource), nil, &o)
	return o
}

func path(namespace, group, resource string) string {
	base := "/apis/" + group
	if group == "v1" {
		base = "/api/v1"
	}
	return fmt.Sprintf("%s/namespaces/%s/%s", base, namespace, resource)
}

// happened is what the API server knows of a namespace's pods, for a failure.
func happened(t *testing.T, namespace string) string {
	t.Helper()
	s := cluster.Get(t)
	var text strings.Builder
	for _, kind := range []string{"events", "pods"} {
		var list struct{ Items []map[string]any }
		s.Do(t, http.MethodGet, "/api/v1/namespaces/"+namespace+"/"+kind, nil, &list)
		for _, o := range list.Items {
			fmt.Fprintf(&text, "\n%s %v %v: %v", kind, object(o).at("involvedObject", "name"), object(o).at("metadata", "name"), []any{o["reason"], o["message"], o["status"]})
		}
	}
	return text.String()
}

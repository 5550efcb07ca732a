//go:build unix

package controller_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/testenv"
)

var shared testenv.SharedKubernetes

var (
	postgres testenv.SharedPostgres
	program  string // rota itself
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	defer shared.Stop()
	defer postgres.Stop()
	return testenv.MainWithProgram(m, &program)
}

const (
	apis  = "/apis/rota.dev/v1alpha1"
	nsAPI = apis + "/namespaces/"
)

var install sync.Once

// cluster is the control plane with Rota's resources.
func cluster(t testing.TB) *testenv.KubernetesServer {
	t.Helper()
	s := shared.Get(t)
	install.Do(func() {
		files, err := filepath.Glob("../../deploy/kubernetes/crds/*.yaml")
		if err != nil || len(files) != 3 {
			t.Fatalf("%d definitions: %v", len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s.Do(t, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", string(text), nil)
		}
		for _, resource := range []string{"rotatingsecrets", "connections", "clusterconnections"} {
			var crd struct {
				Status struct {
					Conditions []struct{ Type, Status, Message string }
				}
			}
			eventually(t, resource+" is served", func(ctx context.Context) bool {
				if s.Try(ctx, "GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"+resource+".rota.dev", nil, &crd) != nil {
					return false
				}
				for _, c := range crd.Status.Conditions {
					if c.Type == "NonStructuralSchema" && c.Status == "True" {
						t.Fatalf("%s: %s", resource, c.Message)
					}
				}
				return s.Try(ctx, "GET", apis+"/"+resource, nil, nil) == nil
			})
		}
	})
	return s
}

// eventually waits for something, at most for a minute.
func eventually(t testing.TB, what string, is func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !is(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("it never came to pass that %s", what)
		case <-tick.C:
		}
	}
}

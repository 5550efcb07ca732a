package check

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"helm.sh/helm/v4/pkg/kube"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func build(t *testing.T, folder string) []byte {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// An overlay as docs/kubernetes.md shows it: a namespace, an image, a rota.yaml and the
// rules that it needs.
func TestAnOverlayOfTheKustomizeBaseIsAccepted(t *testing.T) {
	s := cluster.Get(t)
	namespace := restricted(t, s)
	node(t, s, namespace)
	base, err := filepath.Abs("../../kustomize")
	must(t, err)
	overlay := t.TempDir()
	relative, err := filepath.Rel(overlay, base)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(overlay, "rota.yaml"), []byte(edited), 0o600))
	must(t, os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(`namespace: `+namespace+`
resources: [`+relative+`]
images: [{name: rota-dev/rota, newTag: v1}]
configMapGenerator:
  - {name: rota, behavior: replace, files: [rota.yaml]}
`), 0o600))
	text := build(t, overlay)

	_, settings := helm(t, s, namespace)
	c := kube.New(settings.RESTClientGetter())
	c.Namespace = namespace
	objects, err := c.Build(bytes.NewReader(text), true) // with the API server's own validation
	must(t, err)
	if _, err := c.Create(objects, kube.ClientCreateOptionServerSideApply(true, false)); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	waiter, err := c.GetWaiter(kube.StatusWatcherStrategy)
	must(t, err)
	must(t, waiter.Wait(objects, patience))
	o := get(t, s, namespace, "apps/v1", "deployments/rota")
	if image := o.text("spec", "template", "spec", "containers", "image"); image != "rota-dev/rota:v1" {
		t.Errorf("the image is %s", image)
	}
	if config := get(t, s, namespace, "v1", "configmaps/rota").text("data", "rota.yaml"); config != edited {
		t.Errorf("the configuration is:\n%s", config)
	}
}

// The base starts, too.
func TestTheKustomizeBaseStarts(t *testing.T) {
	byKind := map[string][]object{}
	for _, o := range objectsOf(t, "\n"+string(build(t, "../../kustomize"))) {
		byKind[o.text("kind")] = append(byKind[o.text("kind")], o)
	}
	// The base has Rota's own port, where another one would answer the probes.
	free, err := net.Listen("tcp", "127.0.0.1:8470")
	if err != nil {
		t.Fatalf("another program has the port: %v", err)
	}
	must(t, free.Close())
	p := newPod(t, byKind, nil)
	p.start()
	p.becomesReady()
	p.stop()
}

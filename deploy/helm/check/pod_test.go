package check

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The user that the chart's pod runs as.
const podUser = 65532

// pod is a rendered pod's only container, run as a process: its volumes are folders, its
// variables and arguments those of the chart with these folders' paths, and nothing else
// of this machine's environment.
type pod struct {
	t       *testing.T
	spec    object // the pod's
	root    string
	mounts  map[string]string // folders by mount path
	secrets map[string]map[string]string
	config  string
	process *exec.Cmd
	log     *output
	ended   chan error
}

// output is what the process has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// newPod mounts the volumes as the kubelet does: secrets and ConfigMaps as links into a
// folder that's swapped, files that belong to root and to the pod's group, and volumes
// whose first folder everyone can write to.
func newPod(t *testing.T, byKind map[string][]object, secrets map[string]map[string]string) *pod {
	t.Helper()
	deployment := byKind["Deployment"][0]
	spec := object(deployment.at("spec", "template", "spec").(map[string]any))
	root, err := os.MkdirTemp("", "rota-pod-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	p := &pod{t: t, spec: spec, root: root, mounts: map[string]string{}, secrets: secrets}
	must(t, os.Chmod(root, 0o755))
	if made := byKind["ConfigMap"]; len(made) > 0 {
		p.config = made[0].text("data", "rota.yaml")
	}
	for _, m := range spec.list("containers", "volumeMounts") {
		dir := filepath.Join(root, m.text("name"))
		must(t, os.Mkdir(dir, 0o755))
		must(t, os.Chmod(dir, 0o777|os.ModeSetgid))
		p.give(dir)
		p.mounts[m.text("mountPath")] = dir
	}
	for _, v := range spec.list("volumes") {
		dir := filepath.Join(root, v.text("name"))
		switch {
		case v.at("configMap") != nil:
			p.swap(dir, "1", map[string]string{"rota.yaml": p.here(p.config)}, 0o644)
		case v.at("secret") != nil:
			files := map[string]string{}
			content, known := secrets[v.text("secret", "secretName")]
			if !known {
				t.Fatalf("the pod mounts the Secret %s", v.text("secret", "secretName"))
			}
			items, _ := v.at("secret", "items").([]any)
			for key, text := range content {
				if len(items) == 0 {
					files[key] = text
				}
			}
			for _, i := range items {
				item := object(i.(map[string]any))
				files[item.text("path")] = content[item.text("key")]
			}
			mode, _ := v.at("secret", "defaultMode").(float64)
			p.swap(dir, "1", files, os.FileMode(mode)|0o440)
		}
	}
	return p
}

func (o object) list(path ...string) []object {
	items, _ := o.at(path...).([]any)
	var all []object
	for _, i := range items {
		all = append(all, object(i.(map[string]any)))
	}
	return all
}

// give gives a path to root and the pod's group, as fsGroup does.
func (p *pod) give(path string) {
	if os.Geteuid() == 0 {
		must(p.t, os.Lchown(path, 0, podUser))
	}
}

// swap puts a volume's files in place by exchanging one link.
func (p *pod) swap(dir, version string, files map[string]string, mode os.FileMode) {
	p.t.Helper()
	must(p.t, os.Chmod(dir, 0o777|os.ModeSetgid|os.ModeSticky))
	must(p.t, os.Mkdir(filepath.Join(dir, ".."+version), 0o755))
	for name, text := range files {
		path := filepath.Join(dir, ".."+version, name)
		must(p.t, os.WriteFile(path, []byte(text), 0o600))
		must(p.t, os.Chmod(path, mode))
		p.give(path)
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			must(p.t, os.Symlink("..data/"+name, filepath.Join(dir, name)))
		}
	}
	must(p.t, os.Symlink(".."+version, filepath.Join(dir, "..tmp")))
	must(p.t, os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
}

// here is a text of the chart with this machine's paths in the place of mounts.
func (p *pod) here(text string) string {
	var pairs []string // the longer paths first
	for _, path := range slices.Backward(slices.Sorted(maps.Keys(p.mounts))) {
		pairs = append(pairs, path, p.mounts[path])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func (p *pod) env() []string {
	var env []string
	for _, e := range p.spec.list("containers", "env") {
		value := p.here(e.text("value"))
		if secret := e.text("valueFrom", "secretKeyRef", "name"); secret != "" {
			value = p.secrets[secret][e.text("valueFrom", "secretKeyRef", "key")]
		}
		env = append(env, e.text("name")+"="+value)
	}
	return env
}

// command is the program, as the pod's user if the test may.
func (p *pod) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, rota(p.t), args...)
	c.Env, c.Dir = p.env(), "/"
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: podUser, Gid: podUser}}
	}
	return c
}

func (p *pod) start() {
	p.t.Helper()
	var args []string
	for _, a := range p.spec.at("containers", "args").([]any) {
		args = append(args, p.here(fmt.Sprint(a)))
	}
	p.log, p.ended = &output{}, make(chan error, 1)
	p.process = p.command(context.Background(), args...)
	p.process.Stdout, p.process.Stderr = p.log, p.log
	must(p.t, p.process.Start())
	go func() { p.ended <- p.process.Wait() }()
	p.t.Cleanup(func() { _ = p.process.Process.Kill() })
}

// probe does what the kubelet does for a probe, once.
func (p *pod) probe(name string) error {
	c := p.spec.list("containers")[0]
	if command, ok := c.at(name, "exec", "command").([]any); ok {
		var args []string
		for _, a := range command[1:] {
			args = append(args, fmt.Sprint(a))
		}
		if out, err := p.command(p.t.Context(), args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} // as the kubelet
	url := fmt.Sprintf("%s://127.0.0.1:%v%s", strings.ToLower(c.text(name, "httpGet", "scheme")), c.at("ports", "containerPort"), c.text(name, "httpGet", "path"))
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

// becomesReady waits for each of the pod's probes to succeed.
func (p *pod) becomesReady() {
	p.t.Helper()
	for _, name := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
		p.eventually(name, func() error { return p.probe(name) })
	}
}

func (p *pod) eventually(what string, check func() error) {
	p.t.Helper()
	err := check()
	for deadline := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(deadline); err = check() {
		select {
		case end := <-p.ended:
			p.t.Fatalf("%s: the container ended: %v\n%s", what, end, p.log)
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.log)
	}
}

// stop ends it as the kubelet does, and returns how long that took.
func (p *pod) stop() {
	p.t.Helper()
	began := time.Now()
	must(p.t, p.process.Process.Signal(syscall.SIGTERM))
	grace, _ := p.spec.at("terminationGracePeriodSeconds").(float64)
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("it ended with %v\n%s", err, p.log)
		}
		p.t.Logf("stopped in %v", time.Since(began).Round(time.Millisecond))
	case <-time.After(time.Duration(grace) * time.Second):
		p.t.Fatalf("it didn't stop within the grace period\n%s", p.log)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

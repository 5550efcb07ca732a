package opentofu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
)

var (
	program  string // tofu
	reattach string // TF_REATTACH_PROVIDERS: where the stand-in listens
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	out, err := exec.Command("go", "tool", "-n", "tofu").Output() // builds it
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		fmt.Fprintln(os.Stderr, "go tool tofu:", err)
		return 1
	}
	program = strings.TrimSpace(string(out))
	p, err := newProvider()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const source = "registry.opentofu.org/hashicorp/aws"
	config, closed := make(chan *plugin.ReattachConfig), make(chan struct{})
	go func() {
		_ = tf6server.Serve(source, func() tfprotov6.ProviderServer { return p },
			tf6server.WithDebug(ctx, config, closed), tf6server.WithGoPluginLogger(hclog.NewNullLogger()))
	}()
	at := <-config
	text, err := json.Marshal(map[string]any{source: map[string]any{
		"Protocol": string(at.Protocol), "ProtocolVersion": at.ProtocolVersion, "Pid": at.Pid, "Test": at.Test,
		"Addr": map[string]string{"Network": at.Addr.Network(), "String": at.Addr.String()},
	}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	reattach = string(text)
	return m.Run()
}

// workspace is a copy of the modules in which one folder is a root module.
type workspace struct {
	t   *testing.T
	top string // deploy/terraform in the copy
	dir string
}

// open copies the modules and initialises one folder of them. With text, the
// folder is a new one with that as its main.tf.
func open(t *testing.T, folder, text string) *workspace {
	t.Helper()
	root := t.TempDir()
	w := &workspace{t: t, top: filepath.Join(root, "deploy", "terraform")}
	w.dir = filepath.Join(w.top, folder)
	if err := os.CopyFS(w.top, os.DirFS("../terraform")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "dist", "rota-lambda-arm64.zip"), "a package")
	if text != "" {
		write(t, filepath.Join(w.dir, "main.tf"), text)
	}
	w.must("init", "-backend=false", "-input=false")
	return w
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tofu runs a command, and gives what it wrote and its exit code.
func (w *workspace) tofu(args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), program, args...)
	cmd.Dir = w.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TF_REATTACH_PROVIDERS=" + reattach, "TF_IN_AUTOMATION=1", "TF_CLI_ARGS=-no-color"}
	var out, failure strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			w.t.Fatal(err)
		}
		code = exit.ExitCode()
	}
	return out.String(), failure.String(), code
}

// must runs a command that may not fail, and gives what it wrote to stdout.
func (w *workspace) must(args ...string) string {
	w.t.Helper()
	stdout, stderr, code := w.tofu(args...)
	if code != 0 {
		w.t.Fatalf("tofu %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// apply makes all resources, and gives them.
func (w *workspace) apply(args ...string) resources {
	w.t.Helper()
	w.must(append([]string{"apply", "-auto-approve", "-input=false"}, args...)...)
	return w.state()
}

// state is what there is by OpenTofu's state.
func (w *workspace) state() resources {
	w.t.Helper()
	var shown struct {
		Values struct {
			Root stateModule `json:"root_module"`
		}
	}
	if err := json.Unmarshal([]byte(w.must("show", "-json")), &shown); err != nil {
		w.t.Fatal(err)
	}
	all := resources{}
	shown.Values.Root.collect(all)
	return all
}

// resources are all that a state has, by their addresses.
type resources map[string]json.RawMessage

type stateModule struct {
	Resources []struct {
		Address string
		Values  json.RawMessage
	}
	Children []stateModule `json:"child_modules"`
}

func (m stateModule) collect(into resources) {
	for _, r := range m.Resources {
		into[r.Address] = r.Values
	}
	for _, c := range m.Children {
		c.collect(into)
	}
}

// read reads the attributes of a resource, which has to be there.
func (r resources) read(t *testing.T, address string, into any) {
	t.Helper()
	values, ok := r[address]
	if !ok {
		t.Fatalf("no %s", address)
	}
	if err := json.Unmarshal(values, into); err != nil {
		t.Fatal(err)
	}
}

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
)

// plugin is an exec plugin: a program that prints a login, or does something else.
func plugin(t testing.TB, script string) string {
	t.Helper()
	path := write(t, "plugin", "#!/bin/sh\n"+script+"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func (c *cluster) exec(command string) *Connection {
	return c.connect(c.KubeconfigOf(fmt.Sprintf("{exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: IfAvailable}}", command)))
}

func TestEveryRouteToAClusterIsRecognizedAsOne(t *testing.T) {
	c := start(t)
	folder := t.TempDir()
	authority, err := os.ReadFile(c.CA)
	if err != nil {
		t.Fatal(err)
	}
	token := c.ServiceAccountToken(t, c.namespace, "rota")
	c.Apply(t, c.policy(readOnly{c.namespace}, identifies{}))
	for name, text := range map[string]string{"token": token, "ca.crt": string(authority)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	through, _ := c.faulty()
	want, err := c.admin().Identity(t.Context())
	if err != nil || want == "" {
		t.Fatalf("%q: %v", want, err)
	}
	for name, connection := range map[string]*Connection{
		"a proxy":             through,
		"an exec plugin":      c.exec(plugin(t, fmt.Sprintf(`echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "%s"}}'`, c.AdminToken))),
		"the service account": dial(t, Config{InCluster: true, Folder: folder, Server: c.URL}),
		"a context by name":   dial(t, Config{Kubeconfig: write(t, "k", c.Kubeconfig(c.AdminToken)), Context: "test"}),
	} {
		var got string
		until(t, name, func() bool {
			got, err = connection.Identity(t.Context())
			return err == nil || provider.StatusOf(err) != http.StatusForbidden // the role may not be known yet
		})
		if err != nil || got != want {
			t.Errorf("by way of %s, it's %q: %v", name, got, err)
		}
	}
}

// identifies needs what telling clusters apart takes.
type identifies struct{}

func (identifies) Permissions() []provider.Permission { return permissions() }

func TestALoginThatsMissingSaysWhatToDo(t *testing.T) {
	c := start(t)
	good := write(t, "k", c.Kubeconfig(c.AdminToken))
	for name, test := range map[string]struct {
		cfg   Config
		class rota.Class
		says  []string
	}{
		"no kubeconfig":  {Config{Kubeconfig: "/nowhere/kubeconfig"}, rota.ClassStop, []string{"/nowhere/kubeconfig", "that Rota may read"}},
		"no YAML":        {Config{Kubeconfig: write(t, "k", canary+": {")}, rota.ClassStop, []string{"isn't one", "config view"}},
		"no context":     {Config{Kubeconfig: good, Context: "prod"}, rota.ClassStop, []string{`no context "prod"`, "test"}},
		"not in a pod":   {Config{InCluster: true, Folder: "/nowhere"}, rota.ClassStop, []string{"this isn't a pod", "set kubeconfig"}},
		"no TLS":         {Config{Kubeconfig: write(t, "k", strings.Replace(c.Kubeconfig(canary), c.URL, "http://10.0.0.1:80", 1))}, rota.ClassStop, []string{"without TLS", "correct the server"}},
		"no authority":   {Config{Kubeconfig: write(t, "k", strings.Replace(c.Kubeconfig(canary), c.CA, "/nowhere/ca", 1))}, rota.ClassStop, []string{"/nowhere/ca"}},
		"wrong token":    {Config{Kubeconfig: write(t, "k", c.Kubeconfig(canary))}, rota.ClassStop, []string{"401", "the connection's login is not valid", "context test of"}},
		"no plugin":      {Config{Kubeconfig: write(t, "k", c.KubeconfigOf("{exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never}}"))}, rota.ClassStop, []string{"no-such-plugin not found", "install the plugin", "on its PATH"}},
		"plugin fails":   {Config{Kubeconfig: write(t, "k", c.KubeconfigOf(fmt.Sprintf("{exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Never}}", plugin(t, "exit 3"))))}, rota.ClassWait, []string{"exit code 3", "run kubectl with context test of"}},
		"plugin asks":    {Config{Kubeconfig: write(t, "k", c.KubeconfigOf(fmt.Sprintf("{exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Always}}", plugin(t, "read x"))))}, rota.ClassWait, []string{"cannot support interactive mode"}},
		"plugin garbles": {Config{Kubeconfig: write(t, "k", c.KubeconfigOf(fmt.Sprintf("{exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Never}}", plugin(t, "echo "+canary))))}, rota.ClassWait, []string{"the login's plugin failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			connection := dial(t, test.cfg)
			_, err := connection.Identity(t.Context())
			wantError(t, err, test.class, nil, append(test.says, "identify the cluster")...)
			// A secret's target says so before anything is rotated.
			target := &Secret{Target: "t", Connection: connection, Namespace: c.namespace, Object: "orders"}
			if f := target.Preflight(t.Context())[0]; f.OK || f.Warning {
				t.Errorf("preflight: %+v", f)
			}
		})
	}
	if _, err := New("main", Config{}); err == nil {
		t.Error("a connection without a login was made")
	}
}

// A kubeconfig that somebody has written anew counts once the old login is refused.
func TestANewKubeconfigIsReadOnceTheOldLoginIsRefused(t *testing.T) {
	c := start(t)
	path := write(t, "k", c.Kubeconfig("expired"))
	connection := dial(t, Config{Kubeconfig: path})
	_, err := connection.Identity(t.Context())
	wantError(t, err, rota.ClassStop, nil, "401")
	if err := os.WriteFile(path, []byte(c.Kubeconfig(c.AdminToken)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Identity(t.Context()); err != nil {
		t.Error(err)
	}
}

// What answers in place of the API server may show what it was sent.
func TestNoAnswerShowsTheLogin(t *testing.T) {
	pair := testenvPair(t)
	for _, status := range []int{401, 403, 404, 302, 500} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.Header.Get("Authorization"), canary) {
				t.Error("no login was sent")
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"kind": "Status", "message": "you sent %s"}`, r.Header.Get("Authorization"))
		}))
		server.TLS = pair.config
		server.StartTLS()
		t.Cleanup(server.Close)
		s := testenv.KubernetesServer{URL: server.URL, CA: pair.authority}
		_, err := dial(t, Config{Kubeconfig: write(t, "k", s.Kubeconfig(canary))}).Identity(t.Context())
		wantError(t, err, rota.ClassOfStatus(status), nil)
	}
}

func TestASlowAPIServerIsGivenUp(t *testing.T) {
	c := start(t)
	connection, faults := c.faulty()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	faults.Answer(http.MethodGet, "/namespaces/", hang)
	connection.cfg.Timeout = 100 * time.Millisecond
	_, err := connection.Identity(t.Context())
	wantError(t, err, rota.ClassWait, context.DeadlineExceeded, "no answer in time", "reaches 127.0.0.1")
	faults.Answer(http.MethodGet, "/namespaces/", hang)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := connection.Identity(ctx); err == nil || errors.Is(err, rota.ErrRefused) {
		t.Errorf("cancelled: %v", err)
	}
}

// A plugin is a command that Rota runs: who may write the kubeconfig, or the plugin, could
// have it run anything.
func TestAPluginThatOthersCouldReplaceIsntRun(t *testing.T) {
	c := start(t)
	for name, open := range map[string]func(kubeconfig, plugin string) string{
		"the kubeconfig": func(kubeconfig, _ string) string { return kubeconfig },
		"the plugin":     func(_, plugin string) string { return plugin },
	} {
		t.Run(name, func(t *testing.T) {
			ran := filepath.Join(t.TempDir(), "ran")
			program := plugin(t, "touch "+ran)
			kubeconfig := write(t, "k", c.KubeconfigOf(fmt.Sprintf("{exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Never}}", program)))
			if err := os.Chmod(open(kubeconfig, program), 0o777); err != nil {
				t.Fatal(err)
			}
			_, err := dial(t, Config{Kubeconfig: kubeconfig}).Identity(t.Context())
			wantError(t, err, rota.ClassStop, nil, "others than its owner can write to "+open(kubeconfig, program), "chmod go-w")
			if _, err := os.Stat(ran); err == nil {
				t.Error("it was run")
			}
		})
	}
}

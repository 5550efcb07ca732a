package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/cli"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/internal/testenv/served"
)

const cookieConfig = `
secrets:
  - name: prod/session-cookies
    issuer: {secret_key: {bytes: 32}}
    policy: {rotate_every: 30d, jitter: 0s}
`

// The agent tells systemd when every file is there, when it reads its configuration
// again, that it's alive, and that it ends.
func TestTheAgentTellsSystemdHowItIs(t *testing.T) {
	server := served.Start(t, cookieConfig)
	server.Rotate("prod/session-cookies")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("rota-token", server.Token())
	config := func(file string) string {
		return fmt.Sprintf("server: %s\nlogin: {credential: rota-token}\nfiles: [{path: %s/%s, secret: prod/session-cookies, format: json}]\n", server.URL(), dir, file)
	}
	path := write("agent.yaml", config("first.json"))

	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "notify")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "notify"))
	t.Setenv("WATCHDOG_USEC", "300000")
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	heard := func(want string) string {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		for text := make([]byte, 4096); ; {
			n, err := socket.Read(text)
			if err != nil {
				t.Fatalf("systemd doesn't hear %s: %v", want, err)
			}
			if strings.HasPrefix(string(text[:n]), want) {
				return string(text[:n])
			}
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		p := cli.Program{Env: []string{"CREDENTIALS_DIRECTORY=" + dir, "HOME=" + dir}, Stdin: strings.NewReader(""), Stdout: &stderr, Stderr: &stderr}
		ended <- p.Run(ctx, []string{"agent", "--agent-config", path})
	}()
	there := func(name string) {
		t.Helper()
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Contains(text, []byte(`"key"`)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	heard("READY=1")
	there("first.json")
	heard("WATCHDOG=1")

	write("agent.yaml", config("second.json"))
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if text := heard("RELOADING=1"); !strings.Contains(text, "MONOTONIC_USEC=") {
		t.Errorf("%q", text)
	}
	heard("READY=1")
	there("second.json")

	// A configuration with mistakes isn't taken.
	write("agent.yaml", "server: nowhere\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	heard("RELOADING=1")
	heard("READY=1")

	cancel()
	heard("STOPPING=1")
	if code := <-ended; code != 0 || !strings.Contains(stderr.String(), "the new configuration can't be used") {
		t.Errorf("exit code %d:\n%s", code, &stderr)
	}
}

// What the example says is accepted by a control plane. There's no kubelet here, so
// the init container's command is run as a process, with the token that a kubelet
// would mount and the files of the ConfigMap.
func TestAnInitContainerLogsInWithItsServiceAccount(t *testing.T) {
	var shared testenv.SharedKubernetes
	cluster := shared.Get(t)
	t.Cleanup(shared.Stop)
	ns := cluster.Namespace(t)
	text, err := os.ReadFile("../../deploy/kubernetes/examples/agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cluster.Apply(t, strings.ReplaceAll(string(text), "namespace: shop", "namespace: "+ns))

	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	server := served.Start(t, cookieConfig+fmt.Sprintf(`access:
  issuers:
    - name: prod-cluster
      url: https://kubernetes.default.svc
      audience: https://rota.example.com
      jwks: %s/openid/v1/jwks
      ca_file: %s
      token_file: %s
      bindings:
        - claims: {sub: "system:serviceaccount:%s:orders"}
          rules: ["read:prod/session-cookies", "list:prod/session-cookies"]
`, cluster.URL, cluster.CA, write("admin", cluster.AdminToken), ns))
	server.Rotate("prod/session-cookies")

	var token struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	cluster.Do(t, http.MethodPost, "/api/v1/namespaces/"+ns+"/serviceaccounts/orders/token",
		map[string]any{"spec": map[string]any{"audiences": []string{"https://rota.example.com"}, "expirationSeconds": 600}}, &token)
	write("token", token.Status.Token)
	var configMap struct {
		Data map[string]string `json:"data"`
	}
	cluster.Do(t, http.MethodGet, "/api/v1/namespaces/"+ns+"/configmaps/orders-agent", nil, &configMap)
	write("app.ini.tmpl", configMap.Data["app.ini.tmpl"])
	for _, volume := range []string{"orders", "state"} { // an emptyDir is open to all of its pod
		if err := errors.Join(os.Mkdir(filepath.Join(dir, volume), 0o777), os.Chmod(filepath.Join(dir, volume), 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	path := write("agent.yaml", strings.NewReplacer(
		"https://rota.example.com", server.URL(), "/var/run/secrets/rota", dir, "/run/secrets/orders", dir+"/orders", "/run/agent", dir+"/state",
	).Replace(configMap.Data["agent.yaml"]))

	run := func(timeout string) ([]byte, error) {
		c := exec.CommandContext(t.Context(), "rota", "agent", "--once", "--timeout", timeout, "--agent-config", path)
		c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
		return c.CombinedOutput()
	}
	if out, err := run("1m"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "orders", "app.ini")); err != nil || !strings.HasPrefix(string(got), "[session]\nkey = ") || len(got) < 40 {
		t.Errorf("%d bytes, %v", len(got), err)
	}

	// Once more, as the sidecar finds it.
	if out, err := run("1m"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	// Another service account's token is refused.
	write("token", cluster.ServiceAccountToken(t, ns, "default"))
	if out, err := run("2s"); err == nil || !bytes.Contains(out, []byte("not authenticated")) {
		t.Errorf("%v\n%s", err, out)
	}
}

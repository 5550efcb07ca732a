package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// serviceAccountFolder is where the kubelet mounts a pod's own login.
const serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

const defaultRequestTimeout = 30 * time.Second

// calls is what one connection asks of an API server in a second. The API server's own
// priority and fairness answers 429 if that's too much.
var calls = rota.Rate{PerSecond: 20, Burst: 40}

// Config is a cluster, and Rota's login there.
type Config struct {
	// Kubeconfig is the path of a kubeconfig file.
	Kubeconfig string
	// Context is one of the kubeconfig's. Defaults to its current one.
	Context string
	// InCluster logs in as the service account of the pod that Rota runs in.
	InCluster bool
	// Folder is where that account's token and authority lie. Defaults to where the
	// kubelet puts them.
	Folder string
	// Server is the API server's URL, with InCluster. Defaults to what the kubelet says
	// in the pod's environment.
	Server string
	// Timeout bounds each request. Defaults to 30 s.
	Timeout time.Duration
	// Budget rate-limits the calls to the API server. Defaults to a budget for this
	// connection alone.
	Budget rota.Budget
	// Now is Rota's clock. Defaults to time.Now.
	Now func() time.Time
}

// Connection is one login at a cluster. It's safe for concurrent use.
type Connection struct {
	name   string
	cfg    Config
	clock  *provider.Clock
	budget rota.Budget

	mu     sync.Mutex
	opened *login
}

// login is an opened connection.
type login struct {
	from   string // where it comes from, for people
	plugin bool   // an exec plugin makes it
	// insecure means that whoever is between Rota and the API server can play it.
	insecure bool
	url      *url.URL
	http     *http.Client
}

// New returns a connection. Errors show its name as "kubernetes <name>". It makes no
// calls, and the kubeconfig needn't be there yet.
func New(name string, cfg Config) (*Connection, error) {
	if cfg.InCluster == (cfg.Kubeconfig != "") {
		return nil, rota.WithRemedies(fmt.Errorf("kubernetes %s: one login is needed", name), rota.Configure("", "kubeconfig: /etc/rota/kubeconfig, or in_cluster: true"))
	}
	c := &Connection{name: name, cfg: cfg, budget: cfg.Budget, clock: &provider.Clock{Now: cfg.Now}}
	if c.budget == nil {
		c.budget = rota.NewLocalBudget()
	}
	return c, nil
}

// open reads the login, unless that's been done.
func (c *Connection) open() (*login, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened != nil {
		return c.opened, nil
	}
	l := &login{}
	cfg, err := l.restConfig(c.cfg)
	if err != nil {
		return nil, err
	}
	if l.url, err = addressOf(cfg.Host); err != nil {
		return nil, fmt.Errorf("the server of %s: %w", l.from, err)
	}
	// What's wrapped here is below the login, so that the login's token is among what's
	// taken out of a refusal.
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return provider.Discreet{RoundTripper: provider.Bounded{RoundTripper: dated{rt, c.clock}}, Secrets: sent}
	})
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, rota.WithRemedies(fmt.Errorf("%s: %s", l.from, oneLine(err)), rota.Outside("correct the user or the cluster in "+l.from))
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	l.http = &own
	c.opened = l
	return l, nil
}

// forget makes the next request read the kubeconfig again: its login was refused or its
// server didn't answer, and somebody may have written a new one.
func (c *Connection) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened != nil {
		c.opened.http.CloseIdleConnections()
	}
	c.opened = nil
}

// dated is a transport whose answers set a clock, which outlives it.
type dated struct {
	http.RoundTripper
	clock *provider.Clock
}

func (d dated) RoundTrip(r *http.Request) (*http.Response, error) {
	return d.clock.Through(d.RoundTripper, r)
}

// restConfig is client-go's configuration of the login.
func (l *login) restConfig(cfg Config) (*rest.Config, error) {
	if cfg.InCluster {
		return l.inCluster(cfg)
	}
	l.from = cfg.Kubeconfig
	if _, err := os.Stat(cfg.Kubeconfig); err != nil {
		return nil, rota.WithRemedies(fmt.Errorf("kubeconfig: %w", err), rota.Configure("kubeconfig", "the path of a kubeconfig file that Rota may read"))
	}
	file, err := clientcmd.LoadFromFile(cfg.Kubeconfig)
	if err != nil { // its text may quote the file
		return nil, rota.WithRemedies(fmt.Errorf("kubeconfig: %s isn't one", cfg.Kubeconfig), rota.Outside("see what kubectl --kubeconfig "+cfg.Kubeconfig+" config view says"))
	}
	if err := clientcmd.ResolveLocalPaths(file); err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	in := cmp.Or(cfg.Context, file.CurrentContext)
	if _, there := file.Contexts[in]; !there {
		var names []string
		for name := range file.Contexts {
			names = append(names, name)
		}
		return nil, rota.WithRemedies(fmt.Errorf("context: %s has no context %q", cfg.Kubeconfig, in), rota.Configure("context", oneOf(names)))
	}
	l.from = "context " + in + " of " + cfg.Kubeconfig
	restConfig, err := clientcmd.NewNonInteractiveClientConfig(*file, in, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, rota.WithRemedies(fmt.Errorf("kubeconfig: %s can't be used: %s", l.from, oneLine(err)), rota.Outside("see what kubectl --kubeconfig "+cfg.Kubeconfig+" --context "+in+" version says"))
	}
	l.insecure = restConfig.Insecure
	if restConfig.ExecProvider != nil {
		if err := trustedPlugin(cfg.Kubeconfig, restConfig.ExecProvider.Command); err != nil {
			return nil, err
		}
		l.plugin = true
		restConfig.ExecProvider.StdinUnavailable = true
		restConfig.ExecProvider.StdinUnavailableMessage = "Rota asks nobody"
	}
	return restConfig, nil
}

// trustedPlugin refuses a login's plugin that others than root and this user could have
// chosen or replaced, as with any command that Rota runs.
func trustedPlugin(kubeconfig, plugin string) error {
	if err := provider.TrustedPath(kubeconfig); err != nil {
		return fmt.Errorf("kubeconfig: it names a plugin to run: %w", err)
	}
	path, err := exec.LookPath(plugin)
	if err != nil {
		return nil //nolint:nilerr // running it says so
	}
	if err := provider.TrustedPath(path); err != nil {
		return fmt.Errorf("the plugin of %s: %w", kubeconfig, err)
	}
	return nil
}

// inCluster is the login of the pod that Rota runs in. client-go reads the token's file
// again every minute, as the kubelet replaces it.
func (l *login) inCluster(cfg Config) (*rest.Config, error) {
	folder, server := cmp.Or(cfg.Folder, serviceAccountFolder), cfg.Server
	l.from = "the service account of Rota's pod"
	if host := os.Getenv("KUBERNETES_SERVICE_HOST"); server == "" && host != "" {
		server = "https://" + net.JoinHostPort(host, cmp.Or(os.Getenv("KUBERNETES_SERVICE_PORT"), "443"))
	}
	token := filepath.Join(folder, "token")
	if _, err := os.Stat(token); server == "" || err != nil {
		return nil, rota.WithRemedies(errors.New("in_cluster: this isn't a pod with a service account's token"),
			rota.Outside("run Rota in a pod without automountServiceAccountToken: false, or set kubeconfig"))
	}
	return &rest.Config{Host: server, BearerTokenFile: token, TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(folder, "ca.crt")}}, nil
}

// addressOf reads the API server's address. Without TLS, anybody between could read the
// login.
func addressOf(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := provider.ParseAddress(strings.TrimSuffix(text, "/"), "https://kubernetes.example.com:6443")
	if err != nil {
		return nil, rota.WithRemedies(err, rota.Outside("correct the server in the kubeconfig: "+rota.Hint(rota.RemediesOf(err))))
	}
	return u, nil
}

// insecure warns of a login that doesn't verify who the API server is. The kubeconfig
// says so, and kubectl takes it.
func (c *Connection) insecure() []rota.Finding {
	l, err := c.open()
	if err != nil || !l.insecure {
		return nil
	}
	return []rota.Finding{provider.Warned("verify the API server of connection "+c.name, "insecure-skip-tls-verify is set: whoever is on the way can read the login and every value",
		"remove insecure-skip-tls-verify in "+l.from+", and set certificate-authority")}
}

// System is the connection's name in errors.
func (c *Connection) System() string { return "kubernetes " + c.name }

// Identity implements [provider.Identifier]: a cluster is known by the id of its
// namespace kube-system, as there's nothing else that stays.
func (c *Connection) Identity(ctx context.Context) (string, error) {
	var namespace object
	q := request{op: "identify the cluster", kind: "Namespace", need: identityNeed, path: "/api/v1/namespaces/kube-system"}
	if err := c.do(ctx, q, &namespace); err != nil {
		return "", err
	}
	return namespace.Metadata.UID, nil
}

// identityNeed is what identifying a cluster takes.
var identityNeed = need{verbs: []string{"get"}, resource: "namespaces", name: "kube-system", why: "tells clusters apart if two connections may reach the same one", occasion: provider.OccasionOption}

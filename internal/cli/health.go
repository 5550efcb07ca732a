package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
)

// localServer is where rota serve listens unless rota.yaml says otherwise.
const localServer = "http://127.0.0.1:8470"

// healthWithin is longer than the server's own limit, so that its reason arrives.
const healthWithin = 8 * time.Second

func (a *app) healthCommand() *cobra.Command {
	path := "/readyz"
	live := false
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask whether a running Rota is ready",
		Long: `Asks the probe /readyz of the rota serve at --server, or on this machine at
127.0.0.1:8470, and with --live the probe /healthz. It needs no rota.yaml, no
data folder and no token. Containers, which have no curl, use it as a probe. Exit
code 1 means that it isn't ready, or doesn't respond.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if live {
				path = "/healthz"
			}
			return a.health(c.Context(), cmp.Or(a.serverURL(), localServer), path)
		},
	}
	c.Flags().BoolVar(&live, "live", false, "ask only whether the process responds")
	return c
}

func (a *app) health(ctx context.Context, server, path string) error {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return rota.WithRemedies(usage("the server's URL can't be used"), rota.Command("--server "+localServer))
	}
	client, err := a.healthClient()
	if err != nil {
		return refused(err)
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath(path).String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("User-Agent", "rota/"+Version)
	resp, err := client.Do(r)
	if err != nil {
		return rota.WithRemedies(fmt.Errorf("health: %w", err), rota.Outside("see in its log whether it's listening, and where: --server"))
	}
	defer func() { _ = resp.Body.Close() }()
	var doc healthDoc
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&doc); err != nil {
		return fmt.Errorf("health: what answers at %s isn't Rota: %s", u.Host, resp.Status)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health: %s: %s", doc.Status, cmp.Or(doc.Reason, resp.Status))
	}
	if a.json() {
		return a.document(doc)
	}
	a.printf("%s", doc.Status)
	return nil
}

// healthClient trusts what --server-ca says. It follows no redirect: a probe has
// none, and what answers elsewhere is another server.
func (a *app) healthClient() (*http.Client, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if path := cmp.Or(a.serverCAFlag, a.environment["ROTA_SERVER_CA"]); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		authorities := x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(text) {
			return nil, rota.WithRemedies(errors.New("--server-ca: there's no certificate in it"), rota.Outside("a file of certificates in PEM"))
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// healthDoc is what a probe answers.
type healthDoc struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitzero"`
}

package agent

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/internal/config"
)

// endpoint answers AWS SDKs on this machine that ask for credentials, like the agent
// of a container platform. Whoever asks has to show the token of the path; that a
// browser is made to ask by a website is refused by the host's name.
type endpoint struct {
	config   *config.AgentAWS
	lifetime time.Duration
	log      *slog.Logger
	server   *http.Server
	hosts    []string
	secrets  map[string]*client.Secret // by path
}

func newEndpoint(c *config.AgentAWS, log *slog.Logger) *endpoint {
	return &endpoint{config: c, lifetime: cmp.Or(c.Lifetime.Length, DefaultLifetime), log: log, secrets: map[string]*client.Secret{}}
}

// serve begins to listen. What ends it early is sent to failed.
func (e *endpoint) serve(ctx context.Context, c *client.Client, failed chan<- error) (net.Addr, error) {
	for name, x := range e.config.Credentials {
		if err := ensureToken(x.TokenFile.Text); err != nil {
			return nil, fmt.Errorf("the token of %s: %w", name, err)
		}
		e.secrets["/"+name] = c.Secret(x.Secret.Text)
	}
	address := cmp.Or(e.config.Listen.Text, config.DefaultAWSListen)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	e.hosts = []string{listener.Addr().String(), net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("localhost", port), net.JoinHostPort("::1", port)}
	e.server = &http.Server{
		Handler: e, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 45 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := e.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return listener.Addr(), nil
}

func (e *endpoint) close() { _ = e.server.Close() }

// minToken is the shortest token that is taken from a file.
const minToken = 16

// ensureToken creates a token for a path that has none yet. SDKs send the file as it
// is, and some refuse one that ends with a newline.
func ensureToken(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		text, err := os.ReadFile(path)
		if err == nil && (len(text) < minToken || bytes.ContainsAny(text, " \t\r\n")) {
			err = rota.WithRemedies(fmt.Errorf("%s isn't one line of at least %d characters without a newline at its end", path, minToken), rota.Outside("remove it, and the agent makes one"))
		}
		return err
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(rand.Text())
	return errors.Join(err, f.Close())
}

// refusal is an error in the form that SDKs show.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func answer(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc)
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !slices.Contains(e.hosts, r.Host) || r.Header.Get("Origin") != "":
		answer(w, http.StatusForbidden, refusal{"Forbidden", "not a request from this machine's programs"})
		return
	case r.Method != http.MethodGet:
		answer(w, http.StatusMethodNotAllowed, refusal{"MethodNotAllowed", "only GET"})
		return
	}
	x, ok := e.config.Credentials[strings.TrimPrefix(r.URL.Path, "/")]
	// A path that isn't there looks like a wrong token.
	if !ok || !e.authorized(r, x.TokenFile.Text) {
		answer(w, http.StatusUnauthorized, refusal{"Unauthorized", "the Authorization header isn't this path's token"})
		return
	}
	v, err := e.secrets[r.URL.Path].Get(r.Context())
	if err == nil {
		var c ProcessCredentials
		if c, err = NewProcessCredentials(v, time.Now(), e.lifetime); err == nil {
			answer(w, http.StatusOK, ContainerCredentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, Token: c.SessionToken, Expiration: c.Expiration})
			return
		}
		err = rota.Sanitize(err, rota.NewCredential(v.Fields()))
	}
	e.log.Warn("an AWS SDK can't be given a key", "path", r.URL.Path, "error", err)
	status := http.StatusServiceUnavailable
	if errors.Is(err, client.ErrDenied) || errors.Is(err, client.ErrNotFound) || errors.Is(err, errNoKey) {
		status = http.StatusNotFound
	}
	answer(w, status, refusal{"CredentialsNotAvailable", "the agent's log says why"})
}

// authorized compares the token with the file's, which is read anew: a token that was
// replaced counts at once.
func (e *endpoint) authorized(r *http.Request, path string) bool {
	want, err := api.TokenFromFile(path)(r.Context())
	if err != nil {
		e.log.Warn("the token of a path can't be read", "path", r.URL.Path, "error", err)
		return false
	}
	a, b := sha256.Sum256([]byte(strings.TrimSpace(r.Header.Get("Authorization")))), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

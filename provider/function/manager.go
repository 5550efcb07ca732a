package function

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/sigv4"
)

// maxRequest is the longest request of a function, in bytes. Secrets Manager's values
// have 64 KiB at most.
const maxRequest = 256 << 10

// manager stands in for Secrets Manager while a step runs. It shows the entry of that
// step and the other secrets that the function needs, and listens only then.
type manager struct {
	connection string
	cfg        Config
	verify     sigv4.Verifier

	mu          sync.Mutex
	entries     []*entry // of the steps that run
	server      *http.Server
	listener    net.Listener // the server's, which doesn't close it if it has just been started
	certificate *tls.Config  // the last one that could be read
}

func newManager(connection string, cfg Config) *manager {
	return &manager{connection: connection, cfg: cfg, verify: sigv4.Verifier{Service: "secretsmanager"}}
}

// entry is what a function sees of its secret during one step, and what it put there.
type entry struct {
	arn, name, token string
	current, pending *rota.Credential // nil for none
	others           map[string]rota.Credential
	turn             chan struct{} // has room while no step of this secret runs; nil for any number

	mu       sync.Mutex
	asked    bool
	put      *rota.Credential
	rejected error // why a request was, if one was
}

// values are all that mustn't be in an error.
func (e *entry) values() []rota.Credential {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []rota.Credential
	for _, c := range []*rota.Credential{e.current, e.pending, e.put} {
		if c != nil {
			all = append(all, *c)
		}
	}
	for _, c := range e.others {
		all = append(all, c)
	}
	return all
}

func (e *entry) wasAsked() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked
}

func (e *entry) rejection() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rejected
}

// written is what the function put, nil for nothing.
func (e *entry) written() *rota.Credential {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.put
}

func (e *entry) note(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

// show begins to show an entry. hide ends that.
func (m *manager) show(ctx context.Context, e *entry) (hide func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.server == nil {
		certificate, err := m.cfg.certificate()
		if err != nil && m.certificate == nil {
			return nil, err
		}
		if err != nil { // it's being renewed, perhaps, and a rotation may be half done
			certificate = m.certificate
		}
		m.certificate = certificate
		var lc net.ListenConfig
		listener, err := lc.Listen(ctx, "tcp", m.cfg.Listen)
		if err != nil {
			return nil, rota.WithRemedies(fmt.Errorf("listen for the function's requests: %w", err),
				rota.Outside(fmt.Sprintf("free %s, or set listen of connection %s to another address of this machine, and tell the function", m.cfg.Listen, m.connection)))
		}
		server := &http.Server{Handler: m, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, TLSConfig: certificate, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
		m.server, m.listener = server, listener
		go func() { // ends with Close
			if certificate != nil {
				_ = server.ServeTLS(listener, "", "")
				return
			}
			_ = server.Serve(listener)
		}()
	}
	m.entries = append(m.entries, e)
	return func() { m.hide(e) }, nil
}

func (m *manager) hide(e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, x := range m.entries {
		if x == e {
			m.entries = append(m.entries[:i:i], m.entries[i+1:]...)
			break
		}
	}
	if len(m.entries) == 0 && m.server != nil {
		_ = m.server.Close()
		_ = m.listener.Close()
		m.server, m.listener = nil, nil
	}
}

// running are the entries of the steps that run.
func (m *manager) running() []*entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries
}

// ServeHTTP answers a function's request as Secrets Manager does.
func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Nothing is read of what isn't signed with the right key.
	signature, err := m.verify.Read(r)
	if err == nil && subtle.ConstantTimeCompare([]byte(signature.KeyID), []byte(m.cfg.AccessKeyID)) != 1 {
		err = sigv4.UnknownKey()
	}
	var body []byte
	if err == nil {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			answer(w, nil, &apiError{"InvalidRequestException", "The request is too long."})
			return
		}
		err = m.verify.Check(r, body, signature, sigv4.Key{Secret: m.cfg.SecretAccessKey})
	}
	if err != nil {
		for _, e := range m.running() {
			e.note(func() { e.rejected = err })
		}
		code := "InvalidSignatureException"
		if errors.Is(err, sigv4.ErrUnknownKey) {
			code = "UnrecognizedClientException"
		}
		w.Header().Set("Connection", "close") // else the server would read the body first
		answer(w, nil, &apiError{code, err.Error()})
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	out, err := m.operate(operation, body)
	answer(w, out, err)
}

// apiError is an error in Secrets Manager's form.
type apiError struct{ code, message string }

func (e *apiError) Error() string { return e.code + ": " + e.message }

func answer(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err != nil {
		failed, ok := errors.AsType[*apiError](err)
		if !ok {
			failed = &apiError{"InternalServiceError", "An error occurred on the server side."}
		}
		w.WriteHeader(http.StatusBadRequest)
		out = map[string]string{"__type": failed.code, "message": failed.message, "Message": failed.message}
	}
	_ = json.NewEncoder(w).Encode(out)
}

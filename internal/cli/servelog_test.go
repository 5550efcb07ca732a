package cli_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/cli"
)

// records are the lines of a log, each of which must be JSON.
func (l *log) records(t *testing.T) (out []map[string]any) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("this is no JSON: %s", line)
		}
		out = append(out, record)
	}
	return out
}

// until waits for a record with the message, and gives it.
func (l *log) until(t *testing.T, message string) map[string]any {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, r := range l.records(t) {
			if text, _ := r["msg"].(string); strings.HasPrefix(text, message) {
				return r
			}
		}
		select {
		case <-deadline.C:
			t.Fatalf("there is no record %q:\n%s", message, l)
		case <-tick.C:
		}
	}
}

func TestEveryLineOfServesJSONLogIsJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lender := httptest.NewTLSServer(http.NotFoundHandler())
	lender.Close()
	pair := lender.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := write("rota.yaml", fmt.Sprintf(`
server: {tls: {cert: %s, key: %s}}
secrets: [{name: licence, issuer: {manual: {what: a licence}}, policy: {rotate_every: 90d}}]
`, write("tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))),
		write("tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))))
	serve := func(ctx context.Context, said *log, args ...string) int {
		return cli.Run(ctx, append([]string{
			"serve", "--log-format", "json", "--log-level", "debug", "--config", file, "--data-dir", filepath.Join(dir, "data"),
		}, args...), nil, strings.NewReader(""), &strings.Builder{}, said)
	}

	said := &log{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- serve(ctx, said, "--listen", "127.0.0.1:0") }()
	address, _ := said.until(t, "listening")["address"].(string)
	// It does not trust the certificate, and says so in the handshake.
	if conn, err := (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}).DialContext(t.Context(), "tcp", address); err == nil {
		_ = conn.Close()
		t.Error("a certificate of nobody was trusted")
	}
	if r := said.until(t, "http: TLS handshake error"); r["level"] != "DEBUG" {
		t.Errorf("anybody can make the log say this: %v", r)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d:\n%s", code, said)
	}
	said.records(t)

	said = &log{}
	if code := serve(t.Context(), said, "--listen", "nowhere"); code != 2 {
		t.Errorf("an address that is none: exit code %d", code)
	}
	if r := said.until(t, "rota serve ended"); r["level"] != "ERROR" || !strings.Contains(fmt.Sprint(r["error"]), "listen") {
		t.Errorf("why it ended: %v", r)
	}
}

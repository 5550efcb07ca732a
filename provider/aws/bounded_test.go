package aws

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

// TestAnEndlessAnswerIsNotReadToItsEnd asks an endpoint that never stops.
func TestAnEndlessAnswerIsNotReadToItsEnd(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	const most = 3 * maxAnswer
	sent := make(chan int, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		defer func() { sent <- n }()
		part := []byte(strings.Repeat("x", 1<<20))
		_, _ = w.Write([]byte(`{"SecretString": "`))
		for n < 2*most {
			if _, err := w.Write(part); err != nil {
				return
			}
			n += len(part)
		}
	}))
	defer server.Close()
	c, err := New(t.Context(), "test", Config{Region: "eu-central-1", Endpoint: server.URL, AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "x"})
	if err != nil {
		t.Fatal(err)
	}
	store := c.SecretsManager(SecretsManagerConfig{Name: "s"})
	if _, err := store.Get(t.Context(), rota.GetRequest{Version: rota.NewVersionID()}); err == nil {
		t.Error("it was read")
	}
	if n := <-sent; n >= most {
		t.Errorf("%d bytes were taken", n)
	}
}

package secretsmanager_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signedRequest is a GetSecretValue that can be served many times.
func signedRequest(t testing.TB, e *env, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	sum := sha256.Sum256([]byte(body))
	key := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: keySecret}
	if err := v4.NewSigner().SignHTTP(t.Context(), key, r, hex.EncodeToString(sum[:]), "secretsmanager", region, time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

func newBody(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }

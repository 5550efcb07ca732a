package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/internal/agent"
	"github.com/rota-dev/rota/internal/config"
)

const orders = "prod/orders-aws"

func key(n int) map[string]string {
	return map[string]string{rota.FieldAccessKeyID: fmt.Sprintf("AKIAORDERS%d", n), rota.FieldSecretAccessKey: fmt.Sprintf("s3cret-%d", n)}
}

// options are those of an agent with this configuration.
func options(t *testing.T, source client.Source, text string, said io.Writer) agent.Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte("server: http://127.0.0.1:1\nlogin: {token_file: /none}\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.MustCatalog().LoadAgent(path)
	if err != nil {
		t.Fatal(err)
	}
	return agent.Options{Config: c, Path: path, Source: source, LookupEnv: func(string) (string, bool) { return "", false }, Log: slog.New(slog.NewTextHandler(said, nil))}
}

// run runs an agent until the test ends, and returns where its endpoint is.
func run(t *testing.T, o agent.Options) net.Addr {
	t.Helper()
	a, err := agent.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, false, func(aws net.Addr) { ready <- aws }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case address := <-ready:
		return address
	case err := <-ended:
		ended <- nil
		t.Fatalf("the agent ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the agent isn't ready")
	}
	return nil
}

// endpoint runs an agent with an endpoint for the key.
func endpoint(t *testing.T, source client.Source) (url, tokenFile string) {
	t.Helper()
	tokenFile = filepath.Join(t.TempDir(), "token")
	address := run(t, options(t, source, fmt.Sprintf("aws: {listen: \"127.0.0.1:0\", credentials: {orders: {secret: %s, token_file: %s}}}\n", orders, tokenFile), io.Discard))
	return "http://" + address.String(), tokenFile
}

// alone gives a test none of this machine's AWS configuration.
func alone(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_REGION", "eu-central-1")
}

func TestTheAWSSDKGetsKeysFromTheEndpoint(t *testing.T) {
	source := clienttest.NewSource()
	source.Set(orders, key(1))
	url, tokenFile := endpoint(t, source)
	alone(t)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url+"/orders")
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", tokenFile)
	c, err := awsconfig.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.AccessKeyID != "AKIAORDERS1" || got.SecretAccessKey != "s3cret-1" || got.SessionToken != "" || !got.CanExpire {
		t.Errorf("%+v", got)
	}
	if left := time.Until(got.Expires); left < 10*time.Minute || left > 31*time.Minute {
		t.Errorf("the SDK asks again in %v", left)
	}
	source.Set(orders, key(2))
	c.Credentials.(*aws.CredentialsCache).Invalidate() // as if it had expired
	for end := time.Now().Add(time.Minute); ; {
		got, err = c.Credentials.Retrieve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.AccessKeyID == "AKIAORDERS2" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("still %s", got.AccessKeyID)
		}
		c.Credentials.(*aws.CredentialsCache).Invalidate()
	}
}

func TestTheEndpointAnswersNobodyElse(t *testing.T) {
	source := clienttest.NewSource()
	source.Set(orders, key(1))
	url, tokenFile := endpoint(t, source)
	text, err := os.ReadFile(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(tokenFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info.Mode(), err)
	}
	token := strings.TrimSpace(string(text))
	for name, c := range map[string]struct {
		method, path, token, host, origin string
		want                              int
	}{
		"with the token":          {token: token, want: 200},
		"without a token":         {want: 401},
		"with another token":      {token: token + "x", want: 401},
		"for another path":        {path: "/other", token: token, want: 401},
		"for no path":             {path: "/", token: token, want: 401},
		"under a rebound name":    {token: token, host: "evil.example.com", want: 403},
		"under a name and port":   {token: token, host: "evil.example.com:" + url[strings.LastIndexByte(url, ':')+1:], want: 403},
		"under another port":      {token: token, host: "127.0.0.1:80", want: 403},
		"as localhost":            {token: token, host: "localhost:" + url[strings.LastIndexByte(url, ':')+1:], want: 200},
		"from a website":          {token: token, origin: "http://evil.example.com", want: 403},
		"with another method":     {method: http.MethodPost, token: token, want: 405},
		"with a token in the URL": {path: "/orders?token=" + token, want: 401},
	} {
		t.Run(name, func(t *testing.T) {
			if c.path == "" {
				c.path = "/orders"
			}
			if c.method == "" {
				c.method = http.MethodGet
			}
			r, err := http.NewRequestWithContext(t.Context(), c.method, url+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = c.host
			if c.token != "" {
				r.Header.Set("Authorization", c.token)
			}
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.want || (resp.StatusCode == http.StatusOK) != bytes.Contains(body, []byte("s3cret-1")) {
				t.Errorf("%d, want %d: %s, %v", resp.StatusCode, c.want, body, err)
			}
		})
	}
}

func TestAKeyThatExpiresByItselfSaysSo(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	expiring := key(1)
	expiring["expiration"] = now.Add(10 * time.Minute).Format(time.RFC3339)
	expiring[rota.FieldSessionToken] = "session"
	for name, c := range map[string]struct {
		fields map[string]string
		want   string
	}{
		"a key":     {key(1), `{"Version":1,"AccessKeyId":"AKIAORDERS1","SecretAccessKey":"s3cret-1","Expiration":"2026-12-01T00:30:00Z"}`},
		"a session": {expiring, `{"Version":1,"AccessKeyId":"AKIAORDERS1","SecretAccessKey":"s3cret-1","SessionToken":"session","Expiration":"2026-12-01T00:10:00Z"}`},
	} {
		doc, err := agent.NewProcessCredentials(client.NewValue("v1", c.fields), now, agent.DefaultLifetime)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(doc)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, want %s, %v", name, got, c.want, err)
		}
	}
	if _, err := agent.NewProcessCredentials(client.NewValue("v1", map[string]string{"password": "s3cret"}), now, time.Hour); err == nil {
		t.Error("a password was taken for a key")
	}
}

// boto3 refuses tokens and answers that other SDKs take, and the other way around.
func TestBoto3GetsKeysFromTheEndpoint(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err == nil {
		err = exec.CommandContext(t.Context(), python, "-c", "import boto3").Run()
	}
	if err != nil {
		t.Skip("there's no boto3 here")
	}
	source := clienttest.NewSource()
	source.Set(orders, key(1))
	url, tokenFile := endpoint(t, source)
	c := exec.CommandContext(t.Context(), python, "-c", `
import boto3
c = boto3.Session().get_credentials()
f = c.get_frozen_credentials()
print(f.access_key, f.secret_key, c.method, c.refresh_needed(600))
`)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_CONTAINER_CREDENTIALS_FULL_URI=" + url + "/orders", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + tokenFile}
	out, err := c.CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != "AKIAORDERS1 s3cret-1 container-role False" {
		t.Errorf("%s, %v", got, err)
	}
}

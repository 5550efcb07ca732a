package function_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/function"
	"github.com/rota-dev/rota/provider/function/functiontest"
)

// during runs a testSecret in which the function does this.
func during(t *testing.T, f *functiontest.Function, i rota.Issuer, do func(e functiontest.Event)) error {
	t.Helper()
	f.Answer("POST", "", func(_ http.ResponseWriter, r *http.Request) {
		var e functiontest.Event
		_ = json.NewDecoder(r.Body).Decode(&e)
		do(e)
	})
	return test(t, i, credential("orders", current))
}

// An id is a secret's whole name or ARN, and not the beginning of another's.
func TestWhichSecretIsMeant(t *testing.T) {
	const known = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:admin-orders-AbCdEf"
	const admin = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:admin"
	for _, name := range []string{known, "admin-orders"} {
		f, c := start(t, nil)
		issuer := c.Credentials(function.CredentialConfig{Name: name, Secrets: map[string]rota.Credential{
			admin: credential("admin", "admin-canary"), "arn:aws:secretsmanager:us-east-1:000000000000:secret:admin": credential("admin", "admin-canary"),
		}})
		user := func(id string) string {
			out, err := f.Secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &id})
			var value struct{ Username string }
			if err != nil || json.Unmarshal([]byte(awssdk.ToString(out.SecretString)), &value) != nil {
				return "nobody"
			}
			return value.Username
		}
		err := during(t, f, issuer, func(e functiontest.Event) {
			if name == known && e.SecretID != known {
				t.Errorf("the function sees %s", e.SecretID)
			}
			whole := e.SecretID
			for id, want := range map[string]string{
				whole: "orders", whole[:len(whole)-7]: "orders", "admin-orders": "orders", strings.TrimSuffix(whole[:len(whole)-7], "-orders"): "admin",
				"admin": "nobody", whole[:len(whole)-1]: "nobody",
			} {
				if got := user(id); got != want {
					t.Errorf("%s is the secret of %s, want %s", id, got, want)
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A rotation that began with a certificate isn't stopped by one that's half written.
func TestACertificateThatIsBeingRenewed(t *testing.T) {
	certificate, key, err := testenv.Certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, c := start(t, func(c *function.Config) { c.ListenCert, c.ListenKey = certificate, key })
	issuer := orders(f, c)
	set := func(i rota.Issuer) error {
		f.Answer("POST", "", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "null") })
		return i.Set(t.Context(), rota.SetRequest{Credential: credential("orders", current)})
	}
	if err := set(issuer); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(certificate, []byte("half a cert"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := set(issuer); err != nil {
		t.Errorf("with the certificate that was there: %v", err)
	}
	if found := issuer.(rota.Preflighter).Preflight(t.Context()); found[0].OK {
		t.Errorf("the preflight finds %+v", found[0])
	}
	fresh := connect(t, f, testenv.Address(t), func(c *function.Config) { c.ListenCert, c.ListenKey = certificate, key })
	wrong(t, set(orders(f, fresh)), rota.ClassWait, "listen_cert", "a certificate and its key")
}

// A request that isn't signed with the key is answered before its body is read.
func TestWhatStrangersCanSend(t *testing.T) {
	f, c := start(t, nil)
	issuer := orders(f, c)
	address := strings.TrimPrefix(*f.Secrets.Options().BaseEndpoint, "http://")
	err := during(t, f, issuer, func(functiontest.Event) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 100000\r\n\r\n", address)
		answer := make([]byte, 12)
		if _, err := io.ReadFull(conn, answer); err != nil || !bytes.Equal(answer, []byte("HTTP/1.1 400")) {
			t.Errorf("the answer to an unsigned request is %q, %v", answer, err)
		}
	})
	// A stranger's request isn't what's said to be wrong with the function.
	if err == nil || !strings.Contains(err.Error(), "tested nothing") {
		t.Errorf("the step says %v", err)
	}
}

// What a function may put is what Secrets Manager takes, and what can be shown.
func TestWhatAFunctionMayPut(t *testing.T) {
	inUse := credential("orders", current)
	for value, part := range map[string]string{
		`{"username": "orders", "password": "new-canary"}`:         "",
		`{"username": "orders", "password": "a", "password": "b"}`: "",
		`{"username": "orders", "password": "new-canary"}}`:        "without putting",
		`{"username": "orders", "password": {"is": "new-canary"}}`: "without putting",
		`{"username": "orders", "password": ["new-canary"]}`:       "without putting",
		`"new-canary"`:                                                               "without putting",
		`{"username": "orders", "password": ""}`:                                     "no field password",
		`{"username": "orders", "new-canary-\nkey": "x"}`:                            "no field password",
		`{"username": "postgres", "password": "new-canary"}`:                         "users: [orders, postgres]",
		`{"username": "ord\u0000ers", "password": "new-canary"}`:                     "can't be shown",
		`{"username": "orders\n", "password": "new-canary"}`:                         "can't be shown",
		`{"username": "\u202eorders", "password": "new-canary"}`:                     "can't be shown",
		`{"username": "` + strings.Repeat("a", 300) + `", "password": "new-canary"}`: "can't be shown",
		`{"username": "orders", "password": "` + strings.Repeat("x", 70_000) + `"}`:  "without putting",
	} {
		f, c := start(t, nil)
		issuer := orders(f, c)
		f.Answer("POST", "", func(_ http.ResponseWriter, r *http.Request) {
			var e functiontest.Event
			_ = json.NewDecoder(r.Body).Decode(&e)
			_, _ = f.Secrets.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &e.SecretID, SecretString: &value, ClientRequestToken: &e.ClientRequestToken, VersionStages: []string{"AWSPENDING"}})
		})
		_, err := issuer.Create(t.Context(), rota.CreateRequest{Current: inUse})
		if part == "" {
			if err != nil {
				t.Errorf("%.60s: %v", value, err)
			}
			continue
		}
		text := rota.WithHint(fmt.Sprint(err), rota.RemediesOf(err), rota.Remedy.String)
		if rota.ClassOf(err) != rota.ClassStop || !strings.Contains(text, part) || strings.Contains(text, "\n") || len(text) > 1000 {
			t.Errorf("%.60s: %.300s", value, text)
		}
	}
}

// A credential that was handed in without a field goes on without it.
func TestACredentialHandedInWithoutAField(t *testing.T) {
	f, c := start(t, nil)
	f.SetPassword("orders", current)
	issuer := c.Credentials(function.CredentialConfig{Name: "prod/orders-db", Fields: []string{"engine", "username", "password", "masterarn"}})
	_, err := issuer.Create(t.Context(), rota.CreateRequest{Current: credential("orders", current)})
	wrong(t, err, rota.ClassStop, "no field masterarn", "adopt", "its masterarn", "engine, host, password, username")
}

func TestListenAddresses(t *testing.T) {
	for listen, right := range map[string]bool{
		"127.0.0.1:9001": true, "[::1]:9001": true, "localhost:9001": false, "127.0.0.1:0": false, "127.0.0.1:http": false, "127.0.0.1:70000": false,
		"127.0.0.1": false, "::1:9001": false, ":9001": false, "0.0.0.0:9001": false, "db.internal:9001": false,
	} {
		_, err := function.New("rotate", function.Config{URL: "http://127.0.0.1:9000/", Listen: listen, AccessKeyID: keyID, SecretAccessKey: secretKey})
		if (err == nil) != right {
			t.Errorf("%s: %v", listen, err)
		}
	}
	dir := t.TempDir()
	if _, err := function.New("rotate", function.Config{URL: "http://127.0.0.1:9000/", Listen: "localhost:9001", ListenCert: filepath.Join(dir, "c"), ListenKey: filepath.Join(dir, "k"), AccessKeyID: keyID, SecretAccessKey: secretKey}); err != nil {
		t.Errorf("localhost with a certificate: %v", err)
	}
}

// What listened for a moment is gone when the next step begins.
func TestListeningAgainAtOnce(t *testing.T) {
	f, c := start(t, nil)
	issuer := orders(f, c).(rota.Preflighter)
	for range 300 {
		if found := issuer.Preflight(t.Context()); !found[0].OK {
			t.Fatalf("the preflight finds %+v", found[0])
		}
	}
}

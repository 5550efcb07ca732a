package function_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/sigv4"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/function"
	"github.com/rota-dev/rota/provider/function/functiontest"
)

const current = "current-canary-5Tk8"

// orders is the issuer of a function, whose user's password is current.
func orders(f *functiontest.Function, c *function.Connection) rota.Issuer {
	f.SetPassword("orders", current)
	return c.Credentials(function.CredentialConfig{Name: "prod/orders-db"})
}

func test(t testing.TB, i rota.Issuer, c rota.Credential) error {
	return i.Test(t.Context(), rota.TestRequest{Credential: c})
}

// Whatever is between Rota and a login that works, the error says what and where.
func TestErrorsSayWhatToDo(t *testing.T) {
	valid := credential("orders", current)
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc // of Lambda's Invoke call, instead of the function
		change func(*function.Config)
		call   func(rota.Issuer) error
		class  rota.Class
		parts  []string
	}{
		"the function isn't there":   {answer: answer(404, `{"Message": "Function not found"}`), class: rota.ClassStop, parts: []string{"Function not found", "connection rotate"}},
		"Rota may not call it":       {answer: answer(403, `{"Message": "not authorized"}`), class: rota.ClassStop, parts: []string{"lambda:InvokeFunction"}},
		"too many calls":             {answer: answer(429, `{"message": "Rate exceeded"}`), class: rota.ClassWait, parts: []string{"Rate exceeded", "concurrency"}},
		"something else answers":     {answer: answer(500, "<html>oops"), class: rota.ClassWait, parts: []string{"500", "url of connection rotate"}},
		"it can't reach the manager": {change: func(c *function.Config) { c.Listen = testenv.Address(t) }, class: rota.ClassWait, parts: []string{"AWS_ENDPOINT_URL_SECRETS_MANAGER", "it asked for nothing"}},
		"it signs with another key":  {change: func(c *function.Config) { c.SecretAccessKey = "other-canary-1Bn" }, class: rota.ClassWait, parts: []string{"what the function signs with"}},
		"it's another's key":         {change: func(c *function.Config) { c.AccessKeyID = "AKIAOTHER00000000000" }, class: rota.ClassWait, parts: []string{"what the function signs with"}},
		"it fails": {call: func(i rota.Issuer) error {
			return i.Set(t.Context(), rota.SetRequest{Credential: credential("orders", "new-canary"), Current: credential("orders", "stale-canary")})
		}, class: rota.ClassWait, parts: []string{"setSecret failed: ValueError: unable to log into database", "the function's log"}},
		"nothing to make it from": {call: func(i rota.Issuer) error {
			_, err := i.Create(t.Context(), rota.CreateRequest{})
			return err
		}, class: rota.ClassStop, parts: []string{"there's none", "adopt"}},
		"it's slow": {answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, change: func(c *function.Config) { c.Timeout = 50 * time.Millisecond }, class: rota.ClassWait, parts: []string{"no answer in time", "where it waits"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, c := start(t, test.change)
			if test.answer != nil {
				f.Answer("POST", "", test.answer)
			}
			issuer := orders(f, c)
			call := test.call
			if call == nil {
				call = func(i rota.Issuer) error { return i.Test(t.Context(), rota.TestRequest{Credential: valid}) }
			}
			wrong(t, call(issuer), test.class, append(test.parts, "function rotate: ")...)
		})
	}
}

func TestAnUnreachableFunction(t *testing.T) {
	f, c := start(t, nil)
	issuer := orders(f, c)
	f.Close()
	wrong(t, test(t, issuer, credential("orders", current)), rota.ClassWait, "no answer", "check that this machine reaches")
	found := issuer.(rota.Preflighter).Preflight(t.Context())
	if len(found) != 2 || !found[0].OK || found[1].OK {
		t.Errorf("the preflight finds %+v", found)
	}
}

func TestTheAddressIsTaken(t *testing.T) {
	f, c := start(t, nil)
	l, err := net.Listen("tcp", strings.TrimPrefix(*f.Secrets.Options().BaseEndpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	issuer := orders(f, c)
	wrong(t, test(t, issuer, credential("orders", current)), rota.ClassWait, "address already in use", "listen of connection rotate")
	if found := issuer.(rota.Preflighter).Preflight(t.Context()); found[0].OK {
		t.Errorf("the preflight finds %+v", found)
	}
}

// Only a text that nothing but a wrong password of the credential's own user leads to is
// a refusal.
func TestRefusals(t *testing.T) {
	for message, refused := range map[string]bool{
		`(1045, "Access denied for user 'orders'@'10.0.0.1' (using password: YES)")`:                                      true,
		`(1045, "Access denied for user 'admin'@'10.0.0.1' (using password: YES)")`:                                       false,
		`(1045, "Access denied for user 'orders'@'10.0.0.1' (using password: NO)")`:                                       false,
		`(1044, "Access denied for user 'orders'@'10.0.0.1' to database 'orders'")`:                                       false,
		`FATAL: password authentication failed for user "orders"`:                                                         true,
		`{"error": "FATAL: password authentication failed for user \"orders\""}`:                                          true,
		`FATAL: password authentication failed for user "orders_admin"`:                                                   false,
		`first admin: password authentication failed for user "a", then password authentication failed for user "orders"`: true,
		"pooler: password authentication failed":                                                                          true,
		"could not connect to server: Connection refused":                                                                 false,
		"testSecret: Unable to log into database with pending secret of secret ARN arn:aws:secretsmanager:x:y":            false,
		"ORA-01017: invalid username/password; logon denied":                                                              true,
		"the password current-canary-5Tk8 was wrong: Access denied for user 'orders'@'db'":                                true,
		strings.Repeat("a long trace, ", 50) + "password authentication failed":                                           true,
	} {
		f, c := start(t, nil)
		f.Answer("POST", "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_ = json.NewEncoder(w).Encode(map[string]string{"errorMessage": message})
		})
		issuer := c.Credentials(function.CredentialConfig{Name: "orders", Refused: []string{"ORA-01017"}})
		err := test(t, issuer, credential("orders", current))
		if got := errors.Is(err, rota.ErrRefused); err == nil || got != refused {
			t.Errorf("%s: got %v", message, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the error holds a value: %v", err)
		}
	}
}

// The certificates of both directions are verified.
func TestTLSInBothDirections(t *testing.T) {
	certificate, key, err := testenv.Certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	listen := testenv.Address(t)
	f := functiontest.New(t, "https://"+listen, keyID, secretKey)
	trust, err := provider.Certificates{CA: certificate}.TLS()
	if err != nil {
		t.Fatal(err)
	}
	f.Secrets = secretsmanager.New(f.Secrets.Options(), func(o *secretsmanager.Options) {
		o.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: trust}}
	})
	front := httptest.NewUnstartedServer(f.Config.Handler)
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	front.StartTLS()
	t.Cleanup(front.Close)
	f.URL = front.URL
	serve := func(c *function.Config) { c.ListenCert, c.ListenKey = certificate, key }
	issuer := orders(f, connect(t, f, listen, serve))
	wrong(t, test(t, issuer, credential("orders", current)), rota.ClassStop, "tls_ca on connection rotate")

	trusted := func(c *function.Config) {
		serve(c)
		c.Certificates = provider.Certificates{CA: certificate}
	}
	if err := test(t, orders(f, connect(t, f, listen, trusted)), credential("orders", current)); err != nil {
		t.Error(err)
	}
}

// A function in AWS is called with a signature for Lambda.
func TestCallsToLambdaAreSigned(t *testing.T) {
	const arn = "arn:aws:lambda:eu-central-1:111122223333:function:rotate-orders"
	listen := testenv.Address(t)
	f := functiontest.New(t, "http://"+listen, keyID, secretKey)
	verifier := sigv4.Verifier{Service: "lambda"}
	var verified error
	lambda := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, verified = verifier.Verify(r, body, func(context.Context, string) (sigv4.Key, error) { return sigv4.Key{Secret: "aws-canary"}, nil })
		var e functiontest.Event
		if err := json.Unmarshal(body, &e); err != nil || f.Handle(r.Context(), e) != nil {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
		}
	}))
	t.Cleanup(lambda.Close)
	c, err := function.New("rotate", function.Config{
		ARN: arn, URL: lambda.URL + "/2015-03-31/functions/" + arn + "/invocations", Credentials: credentials.NewStaticCredentialsProvider("AKIA0000000000000000", "aws-canary", ""),
		Listen: listen, AccessKeyID: keyID, SecretAccessKey: secretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := test(t, orders(f, c), credential("orders", current)); err != nil || verified != nil {
		t.Errorf("the test says %v, and the signature %v", err, verified)
	}
}

// What a function may ask for is what its step needs.
func TestTheManagerOffersNothingElse(t *testing.T) {
	f, c := start(t, nil)
	issuer := orders(f, c)
	var arn string
	errs := map[string]error{}
	f.Answer("POST", "", func(_ http.ResponseWriter, r *http.Request) {
		var e functiontest.Event
		_ = json.NewDecoder(r.Body).Decode(&e)
		arn = e.SecretID
		ctx := t.Context()
		_, errs["another secret"] = f.Secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: awssdk.String("prod/other")})
		_, errs["the previous one"] = f.Secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn, VersionStage: awssdk.String("AWSPREVIOUS")})
		_, errs["another version"] = f.Secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: awssdk.String("{}"), ClientRequestToken: awssdk.String("11111111-1111-4111-8111-111111111111"), VersionStages: []string{"AWSPENDING"}})
		_, errs["promoting"] = f.Secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: awssdk.String("{}"), ClientRequestToken: &e.ClientRequestToken, VersionStages: []string{"AWSCURRENT"}})
		_, errs["another value"] = f.Secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: awssdk.String(`{"password":"x"}`), ClientRequestToken: &e.ClientRequestToken, VersionStages: []string{"AWSPENDING"}})
		_, errs["deleting"] = f.Secrets.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &arn})
		_, errs["listing"] = f.Secrets.ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	})
	if err := test(t, issuer, credential("orders", current)); err != nil {
		t.Fatal(err)
	}
	for what, err := range errs {
		if err == nil {
			t.Errorf("%s is allowed", what)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error holds a value: %v", what, err)
		}
	}
	if len(errs) != 7 {
		t.Errorf("%d requests were made", len(errs))
	}
	// After the step, nothing listens anymore.
	if _, err := f.Secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &arn}); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("after the step: %v", err)
	}
}

// An alternating function that picks another user than Rota expects changes nothing
// that's in use.
func TestTheUserInUseIsLeftAlone(t *testing.T) {
	f, c := start(t, nil, "orders", "orders_clone")
	f.SetPassword("orders", current)
	issuer := c.Credentials(function.CredentialConfig{Name: "prod/orders-db", Users: []string{"orders", "orders_clone"}})
	inUse := credential("orders", current)
	for id, given := range map[string]rota.Credential{"orders": inUse, "orders_clone": {}, "other": inUse} {
		if err := issuer.Delete(t.Context(), rota.RetireRequest{CredentialID: id, Current: given}); rota.ClassOf(err) != rota.ClassStop || err == nil {
			t.Errorf("deleting %s: %v", id, err)
		}
	}
	if !f.LogsIn("orders", current) {
		t.Error("the user in use has another password")
	}
	f.Users = []string{"orders", "somebody"}
	_, err := issuer.Create(t.Context(), rota.CreateRequest{Current: inUse})
	wrong(t, err, rota.ClassStop, "somebody", "isn't one of users")
}

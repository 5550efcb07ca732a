package sigv4_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rota-dev/rota/internal/sigv4"
)

var (
	noon        = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	credentials = aws.Credentials{AccessKeyID: "ROTAEXAMPLE", SecretAccessKey: "hush"}
)

func find(_ context.Context, id string) (sigv4.Key, error) {
	if id != credentials.AccessKeyID {
		return sigv4.Key{}, sigv4.UnknownKey()
	}
	return sigv4.Key{Secret: credentials.SecretAccessKey}, nil
}

// signed is a request signed by AWS's own signer at a time.
func signed(t testing.TB, c aws.Credentials, body string, at time.Time) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://rota.example/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), c, r, hex.EncodeToString(sum[:]), "secretsmanager", "eu-central-1", at); err != nil {
		t.Fatal(err)
	}
	return r
}

// inHeader replaces part of the Authorization header.
func inHeader(old, with string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
	}
}

func TestOnlyWhatWasSignedIsAccepted(t *testing.T) {
	const body = `{"SecretId":"prod/app"}`
	session := credentials
	session.SessionToken = "token"
	other := credentials
	other.AccessKeyID = "ROTAOTHER"
	wrong := credentials
	wrong.SecretAccessKey = "hash"
	for _, test := range []struct {
		name   string
		as     aws.Credentials
		at     time.Duration
		change func(r *http.Request)
		body   string
		want   error
	}{
		{"as AWS's signer signs it", credentials, 0, nil, body, nil},
		{"nearly five minutes old", credentials, -5 * time.Minute, nil, body, nil},
		{"five minutes ahead", credentials, 5 * time.Minute, nil, body, nil},
		{"too old", credentials, -5*time.Minute - time.Second, nil, body, sigv4.ErrSkewed},
		{"too far ahead", credentials, 5*time.Minute + time.Second, nil, body, sigv4.ErrSkewed},
		{"another body", credentials, 0, nil, body + " ", sigv4.ErrMismatch},
		{"a session token that the key has not", session, 0, nil, body, sigv4.ErrUnknownKey},
		{"an unknown key", other, 0, nil, body, sigv4.ErrUnknownKey},
		{"another secret", wrong, 0, nil, body, sigv4.ErrMismatch},
		{"no signature", credentials, 0, func(r *http.Request) { r.Header.Del("Authorization") }, body, sigv4.ErrMissing},
		{"another scheme", credentials, 0, func(r *http.Request) { r.Header.Set("Authorization", "Basic eDp5") }, body, sigv4.ErrIncomplete},
		{"a short signature", credentials, 0, func(r *http.Request) {
			r.Header.Set("Authorization", strings.TrimRight(r.Header.Get("Authorization"), "0123456789abcdef"))
		}, body, sigv4.ErrIncomplete},
		{"a second credential", credentials, 0, inHeader("Credential=", "Credential=ROTAOTHER/x/y/z/w, Credential="), body, sigv4.ErrIncomplete},
		{"the same credential twice", credentials, 0, inHeader(" SignedHeaders=", " Credential=ROTAEXAMPLE/20260504/eu-central-1/secretsmanager/aws4_request, SignedHeaders="), body, sigv4.ErrIncomplete},
		{"an empty credential first", credentials, 0, inHeader("Credential=", "Credential=, Credential="), body, sigv4.ErrIncomplete},
		{"the signed headers twice", credentials, 0, inHeader("SignedHeaders=", "SignedHeaders=host, SignedHeaders="), body, sigv4.ErrIncomplete},
		{"a second signature", credentials, 0, inHeader("Signature=", "Signature="+strings.Repeat("0", 64)+", Signature="), body, sigv4.ErrIncomplete},
		{"another component", credentials, 0, inHeader("Credential=", "credential=ROTAOTHER/x/y/z/w, Credential="), body, sigv4.ErrIncomplete},
		{"a second header", credentials, 0, func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, body, sigv4.ErrIncomplete},
		{"another host", credentials, 0, func(r *http.Request) { r.Host = "evil.example" }, body, sigv4.ErrMismatch},
		{"another path", credentials, 0, func(r *http.Request) { r.URL.Path = "/x" }, body, sigv4.ErrMismatch},
		{"another query", credentials, 0, func(r *http.Request) { r.URL.RawQuery = "x=1" }, body, sigv4.ErrMismatch},
		{"another method", credentials, 0, func(r *http.Request) { r.Method = http.MethodGet }, body, sigv4.ErrMismatch},
		{"another target", credentials, 0, func(r *http.Request) { r.Header.Set("X-Amz-Target", "secretsmanager.DeleteSecret") }, body, sigv4.ErrMismatch},
		{"a header added", credentials, 0, func(r *http.Request) { r.Header.Set("X-Amz-Extra", "1") }, body, sigv4.ErrMismatch},
		{"another date", credentials, 0, func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260504T120001Z") }, body, sigv4.ErrMismatch},
		{"a false hash of the body", credentials, 0, func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64))
			h := r.Header.Get("Authorization")
			r.Header.Set("Authorization", strings.Replace(h, ";x-amz-date", ";x-amz-content-sha256;x-amz-date", 1))
		}, body, sigv4.ErrPayload},
		{"a body that is not signed", credentials, 0, func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			h := r.Header.Get("Authorization")
			r.Header.Set("Authorization", strings.Replace(h, ";x-amz-date", ";x-amz-content-sha256;x-amz-date", 1))
		}, body, sigv4.ErrPayload},
		{"another service", credentials, 0, func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/secretsmanager/", "/iam/", 1))
		}, body, sigv4.ErrMismatch},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := signed(t, test.as, body, noon.Add(test.at))
			if test.change != nil {
				test.change(r)
			}
			v := &sigv4.Verifier{Now: func() time.Time { return noon }, Service: "secretsmanager"}
			for range 2 { // the second time from the cache
				id, err := v.Verify(r, []byte(test.body), find)
				if !errors.Is(err, test.want) {
					t.Fatalf("error %v, want %v", err, test.want)
				}
				if err == nil && id != credentials.AccessKeyID {
					t.Errorf("key %q", id)
				}
			}
		})
	}
}

func TestASessionTokenIsAcceptedOnlyWithItsKey(t *testing.T) {
	c := credentials
	c.SessionToken = "token"
	r := signed(t, c, "{}", noon)
	v := &sigv4.Verifier{Now: func() time.Time { return noon }}
	_, err := v.Verify(r, []byte("{}"), func(context.Context, string) (sigv4.Key, error) {
		return sigv4.Key{Secret: c.SecretAccessKey, Token: c.SessionToken}, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAChangedSecretIsNotTakenFromTheCache(t *testing.T) {
	r := signed(t, credentials, "{}", noon)
	v := &sigv4.Verifier{Now: func() time.Time { return noon }}
	secret := credentials.SecretAccessKey
	look := func(context.Context, string) (sigv4.Key, error) { return sigv4.Key{Secret: secret}, nil }
	if _, err := v.Verify(r, []byte("{}"), look); err != nil {
		t.Fatal(err)
	}
	secret = "another"
	if _, err := v.Verify(r, []byte("{}"), look); !errors.Is(err, sigv4.ErrMismatch) {
		t.Errorf("error %v", err)
	}
}

func TestPresignedRequestsAreAcceptedIfEnabled(t *testing.T) {
	const body = `{"SecretId":"a"}`
	sum := sha256.Sum256([]byte(body))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://rota.example/?X-Amz-Expires=60", http.NoBody)
	address, headers, err := v4.NewSigner().PresignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), "secretsmanager", "eu-central-1", noon)
	if err != nil {
		t.Fatal(err)
	}
	if r.URL, err = url.Parse(address); err != nil {
		t.Fatal(err)
	}
	r.Header = headers
	at := noon
	v := &sigv4.Verifier{Now: func() time.Time { return at }, Presigned: true}
	check := func(name string, v *sigv4.Verifier, body string, want error) {
		t.Helper()
		if _, err := v.Verify(r, []byte(body), find); !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
	}
	check("as signed", v, body, nil)
	check("another body", v, "{}", sigv4.ErrMismatch)
	r.URL.RawQuery = "X-Amz-Credential=ROTAOTHER&" + r.URL.RawQuery
	check("a repeated parameter", v, body, sigv4.ErrIncomplete)
	r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery, "X-Amz-Credential=ROTAOTHER&")
	check("not wanted", &sigv4.Verifier{Now: v.Now}, body, sigv4.ErrMissing)
	at = noon.Add(time.Minute)
	check("at its end", v, body, nil)
	at = noon.Add(61 * time.Second)
	check("expired", v, body, sigv4.ErrSkewed)
}

// FuzzVerify sends requests that nobody signed: none may pass, and none may
// crash the program.
func FuzzVerify(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=ROTAEXAMPLE/20260504/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64), "20260504T120000Z", "", "{}")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/d/aws4_request&X-Amz-Signature=00&X-Amz-SignedHeaders=host&X-Amz-Expires=1", "")
	f.Add("AWS4-HMAC-SHA256 Credential=,SignedHeaders=;,Signature=zz", "x", "%zz=%", "x")
	f.Fuzz(func(t *testing.T, authorization, date, query, body string) {
		r := &http.Request{
			Method: http.MethodPost, Host: "rota.example", URL: &url.URL{Path: "/", RawQuery: query},
			Header: http.Header{"X-Amz-Date": {date}, "Authorization": {authorization}},
		}
		v := &sigv4.Verifier{Now: func() time.Time { return noon }, Presigned: true}
		if _, err := v.Verify(r, []byte(body), find); err == nil {
			t.Error("a request that nobody signed was taken")
		} else if strings.Contains(err.Error(), credentials.SecretAccessKey) {
			t.Error("the error holds the secret")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	body := []byte(`{"SecretId":"prod/app"}`)
	r := signed(b, credentials, string(body), noon)
	v := &sigv4.Verifier{Now: func() time.Time { return noon }}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r, bytes.Clone(body), find); err != nil {
			b.Fatal(err)
		}
	}
}

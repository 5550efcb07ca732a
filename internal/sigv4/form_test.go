package sigv4_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rota-dev/rota/internal/sigv4"
)

func setHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// What's wrong with a signature's form is refused before anyone looks for its key,
// even if the rest of it is right.
func TestTheFormIsCheckedBeforeTheKey(t *testing.T) {
	signature := strings.Repeat("0", 64)
	headers := func(n int) string {
		var names strings.Builder
		for i := range n - 2 {
			fmt.Fprintf(&names, "x-amz-%d;", i)
		}
		return "SignedHeaders=" + names.String() + "host;x-amz-date"
	}
	plain := func(n int) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=ROTAEXAMPLE/20260504/eu-central-1/secretsmanager/aws4_request, "+headers(n)+", Signature="+signature)
			r.Header.Del("X-Amz-Target")
		}
	}
	for name, test := range map[string]struct {
		change func(*http.Request)
		want   error
	}{
		"as it's signed":              {func(*http.Request) {}, nil},
		"an empty header":             {setHeader("Authorization", ""), sigv4.ErrMissing},
		"no algorithm":                {inHeader("AWS4-HMAC-SHA256 ", ""), sigv4.ErrIncomplete},
		"another algorithm":           {inHeader("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 "), sigv4.ErrIncomplete},
		"a scope without a service":   {inHeader("/secretsmanager/", "/"), sigv4.ErrIncomplete},
		"a scope with something more": {inHeader("/aws4_request", "/aws4_request/x"), sigv4.ErrIncomplete},
		"a scope that ends otherwise": {inHeader("/aws4_request", "/aws5_request"), sigv4.ErrIncomplete},
		"no key":                      {inHeader("ROTAEXAMPLE", ""), sigv4.ErrIncomplete},
		"a signature that isn't hex":  {inHeader("Signature=", "Signature=zz"), sigv4.ErrIncomplete},
		"a signature that's too long": {inHeader("Signature=", "Signature=00"), sigv4.ErrIncomplete},
		"a signature of another alphabet": {func(r *http.Request) {
			inHeader(r.Header.Get("Authorization")[len(r.Header.Get("Authorization"))-64:], strings.Repeat("z", 64))(r)
		}, sigv4.ErrIncomplete},
		"half a signature": {func(r *http.Request) {
			inHeader(r.Header.Get("Authorization")[len(r.Header.Get("Authorization"))-64:], "00")(r)
		}, sigv4.ErrIncomplete},
		"a hundred headers":               {plain(100), nil},
		"more than a hundred headers":     {plain(101), sigv4.ErrIncomplete},
		"another service":                 {inHeader("/secretsmanager/", "/iam/"), sigv4.ErrMismatch},
		"the host isn't signed":           {inHeader(";host;", ";"), sigv4.ErrMismatch},
		"a header added":                  {setHeader("X-Amz-Extra", "1"), sigv4.ErrMismatch},
		"a header added that's not AWS's": {setHeader("X-Extra", "1"), nil},
		"no date":                         {setHeader("X-Amz-Date", "at noon"), sigv4.ErrMismatch},
		"no such hour":                    {setHeader("X-Amz-Date", "20260504T250000Z"), sigv4.ErrMismatch},
		"the scope's day is another":      {inHeader("/20260504/", "/20260503/"), sigv4.ErrMismatch},
		"the scope's day is a month":      {inHeader("/20260504/", "/202605/"), sigv4.ErrMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			r := signed(t, credentials, "{}", noon)
			test.change(r)
			v := &sigv4.Verifier{Now: func() time.Time { return noon }, Service: "secretsmanager"}
			if _, err := v.Read(r); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

func TestTheFormOfAPresignedRequest(t *testing.T) {
	for name, test := range map[string]struct {
		old, with string // in the query
		want      error
	}{
		"as it's signed":             {"", "", nil},
		"valid for a second":         {"X-Amz-Expires=60", "X-Amz-Expires=1", nil},
		"valid for no time":          {"X-Amz-Expires=60", "X-Amz-Expires=0", sigv4.ErrIncomplete},
		"valid for a week":           {"X-Amz-Expires=60", "X-Amz-Expires=604800", nil},
		"valid for more than that":   {"X-Amz-Expires=60", "X-Amz-Expires=604801", sigv4.ErrIncomplete},
		"valid for a while":          {"X-Amz-Expires=60", "X-Amz-Expires=60s", sigv4.ErrIncomplete},
		"valid twice":                {"X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=60", sigv4.ErrIncomplete},
		"something else twice":       {"X-Amz-Expires=60", "X-Amz-Expires=60&a=1&a=2", nil},
		"another algorithm":          {"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512", sigv4.ErrIncomplete},
		"no signed headers":          {"X-Amz-SignedHeaders=", "X-Amz-SignedHeaders=&x=", sigv4.ErrIncomplete},
		"a query that can't be read": {"X-Amz-Expires=60", "X-Amz-Expires=60&a=%zz", sigv4.ErrIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://rota.example/?X-Amz-Expires=60", http.NoBody)
			sum := sha256.Sum256([]byte("{}"))
			address, headers, err := v4.NewSigner().PresignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), "secretsmanager", "eu-central-1", noon)
			if err != nil {
				t.Fatal(err)
			}
			if r.URL, err = url.Parse(strings.Replace(address, test.old, test.with, 1)); err != nil {
				t.Fatal(err)
			}
			r.Header = headers
			v := &sigv4.Verifier{Now: func() time.Time { return noon }, Presigned: true}
			if _, err := v.Read(r); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

// Requests as AWS's signer signs them, for the services that differ, and what
// someone on the way can make of them.
func TestWhatServicesSignDifferently(t *testing.T) {
	const body = "text"
	sum := sha256.Sum256([]byte(body))
	right := hex.EncodeToString(sum[:])
	for name, test := range map[string]struct {
		service, path, hash string
		change              func(*http.Request)
		want                error
	}{
		"no path":                          {"secretsmanager", "", right, nil, nil},
		"a path is encoded twice":          {"secretsmanager", "/a%20b/c", right, nil, nil},
		"S3's is encoded once":             {"s3", "/a%20b/c", right, nil, nil},
		"the body's hash is right":         {"secretsmanager", "/", right, setHeader("X-Extra", right), nil},
		"the body of S3 isn't signed":      {"s3", "/", "UNSIGNED-PAYLOAD", nil, nil},
		"the body of S3 is another":        {"s3", "/", hex.EncodeToString(make([]byte, 32)), nil, sigv4.ErrPayload},
		"the body isn't signed":            {"secretsmanager", "/", "UNSIGNED-PAYLOAD", nil, sigv4.ErrPayload},
		"a signature added in the query":   {"secretsmanager", "/", right, func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=00" }, sigv4.ErrMismatch},
		"an empty header lost on its way":  {"secretsmanager", "/", right, func(r *http.Request) { r.Header.Del("X-Empty") }, nil},
		"a header with words lost a blank": {"secretsmanager", "/", right, setHeader("X-Words", "a  b"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://rota.example"+test.path, strings.NewReader(body))
			r.Header.Set("X-Amz-Content-Sha256", test.hash)
			r.Header.Set("X-Empty", "")
			r.Header.Set("X-Words", "a b")
			signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = test.service == "s3" })
			if err := signer.SignHTTP(t.Context(), credentials, r, test.hash, test.service, "eu-central-1", noon); err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				test.change(r)
			}
			v := &sigv4.Verifier{Now: func() time.Time { return noon }}
			if _, err := v.Verify(r, []byte(body), find); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

func TestABodyOfS3IsNotSignedInAPresignedRequest(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://rota.example/a?X-Amz-Expires=60", http.NoBody)
	address, headers, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).PresignHTTP(t.Context(), credentials, r, "UNSIGNED-PAYLOAD", "s3", "eu-central-1", noon)
	if err != nil {
		t.Fatal(err)
	}
	if r.URL, err = url.Parse(address); err != nil {
		t.Fatal(err)
	}
	r.Header = headers
	v := &sigv4.Verifier{Now: func() time.Time { return noon }, Presigned: true}
	if _, err := v.Verify(r, []byte("anything"), find); err != nil {
		t.Error(err)
	}
}

func TestTheClockAndItsToleranceCanBeSet(t *testing.T) {
	if _, err := new(sigv4.Verifier).Verify(signed(t, credentials, "{}", time.Now()), []byte("{}"), find); err != nil {
		t.Errorf("without a clock: %v", err)
	}
	v := &sigv4.Verifier{Now: func() time.Time { return noon }, Skew: time.Minute}
	for ago, want := range map[time.Duration]error{time.Minute: nil, 2 * time.Minute: sigv4.ErrSkewed, -time.Minute: nil, -2 * time.Minute: sigv4.ErrSkewed} {
		if _, err := v.Verify(signed(t, credentials, "{}", noon.Add(-ago)), []byte("{}"), find); !errors.Is(err, want) {
			t.Errorf("signed %s ago: error %v, want %v", ago, err, want)
		}
	}
}

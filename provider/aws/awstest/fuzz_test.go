package awstest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// FuzzRequest sends raw requests, whose signatures never match: parsing and
// rejecting them must withstand anything.
func FuzzRequest(f *testing.F) {
	f.Add("POST / HTTP/1.1\r\nHost: x\r\n\r\nAction=ListUsers")
	f.Add("POST / HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential=A/20260101/r/iam/aws4_request, SignedHeaders=host, Signature=" + strings.Repeat("0", 64) + "\r\nContent-Length: 16\r\n\r\nAction=ListUsers")
	f.Add("PUT /b/k%20?x=%zz HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential=A/1/r/s3/aws4_request,SignedHeaders=,Signature=\r\n\r\n")
	f.Add("POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\nContent-Length: 2\r\n\r\n{}")
	f.Add("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nshort")
	s := newServer(Options{})
	f.Fuzz(func(t *testing.T, raw string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			return // it isn't HTTP, and never reaches the server
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code < 400 {
			t.Errorf("status %d for a request that nobody can have signed", w.Code)
		}
		s.ResetCalls()
	})
}

// FuzzSignedRequest signs its input with the root key, so that it passes
// authentication and reaches the actions. A status of 500 always means a bug in
// the server.
func FuzzSignedRequest(f *testing.F) {
	f.Add("iam", "", "/", "Action=CreateUser&UserName=app")
	f.Add("iam", "", "/", "Action=ListUsers&MaxItems=1&Marker=YXQ6MQ")
	f.Add("sts", "", "/", "Action=AssumeRole&RoleSessionName=ab&RoleArn=arn")
	f.Add("sns", "", "/", "Action=Publish&TopicArn=arn:aws:sns:a:b:c&Message=m&MessageAttributes.entry.1.Name=n")
	f.Add("secretsmanager", "CreateSecret", "/", `{"Name":"a","SecretString":"x","ClientRequestToken":"0123456789012345678901234567890123"}`)
	f.Add("secretsmanager", "PutSecretValue", "/", `{"SecretId":"a","SecretString":"y","ClientRequestToken":"1123456789012345678901234567890123","VersionStages":["AWSPENDING"]}`)
	f.Add("secretsmanager", "UpdateSecretVersionStage", "/", `{"SecretId":"a","VersionStage":"AWSCURRENT","MoveToVersionId":"1123456789012345678901234567890123"}`)
	f.Add("secretsmanager", "ListSecrets", "/", `{"MaxResults":1,"Filters":[{"Key":"all","Values":["!x"]}],"SortOrder":"desc"}`)
	f.Add("s3", "", "/data/a%20b?list-type=2&prefix=%", "x")
	f.Fuzz(func(t *testing.T, service, action, target, body string) {
		// A fresh server each time, so that a finding doesn't depend on earlier
		// inputs.
		s := newServer(Options{})
		s.CreateBucket("data")
		s.CreateUser("app")
		if _, _, err := s.CreateSecret("a", "x"); err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if service == "s3" {
			if r, err = http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+target, http.NoBody); err != nil {
				return // it isn't a URL, so no one can request it
			}
			body = ""
		}
		if service == "secretsmanager" {
			r.Header.Set("X-Amz-Target", "secretsmanager."+action)
		}
		signForTest(s, r, service, []byte(body))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if bytes.Contains(w.Body.Bytes(), []byte(s.rootKey.secret)) {
			t.Error("the answer holds the root's secret key")
		}
	})
}

func signForTest(s *Server, r *http.Request, service string, body []byte) {
	signAt(s, r, service, body, time.Now())
}

func signAt(s *Server, r *http.Request, service string, body []byte, at time.Time) {
	sum := sha256.Sum256(body)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	key := aws.Credentials{AccessKeyID: s.rootKey.id, SecretAccessKey: s.rootKey.secret}
	if err := signer.SignHTTP(r.Context(), key, r, hex.EncodeToString(sum[:]), service, s.region, at); err != nil {
		panic(err)
	}
}

// FuzzWildcard checks properties of the matcher that hold for every pattern.
func FuzzWildcard(f *testing.F) {
	f.Add("iam:*Access*", "iam:CreateAccessKey")
	f.Add("a?c*", "abc")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if !matches("*", s) || !matches(s+"*", s) || !matches("*"+s, s) {
			t.Errorf("a star does not match %q", s)
		}
		if !strings.ContainsAny(pattern, "*?") && matches(pattern, s) != (pattern == s) {
			t.Errorf("%q matches %q", pattern, s)
		}
		if matches(pattern, s) && len(s) < len(strings.ReplaceAll(pattern, "*", "")) {
			t.Errorf("%q matches the shorter %q", pattern, s)
		}
	})
}

func TestSignaturesMustCoverWhatMatters(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(r *http.Request)
		want   int
	}{
		{"a request as it was signed", func(*http.Request) {}, 200},
		{"a changed body", func(r *http.Request) { r.Body = http.NoBody }, 403},
		{"a changed query", func(r *http.Request) { r.URL.RawQuery = "x=1" }, 403},
		{"a changed host", func(r *http.Request) { r.Host = "example.org" }, 403},
		{"a changed path", func(r *http.Request) { r.URL.Path = "/x" }, 403},
		{"a header added afterwards", func(r *http.Request) { r.Header.Set("X-Amz-Extra", "1") }, 403},
		{"another date", func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().UTC().Add(-time.Minute).Format("20060102T150405Z"))
		}, 403},
		{"no signature", func(r *http.Request) { r.Header.Del("Authorization") }, 403},
		{"another method of signing", func(r *http.Request) { r.Header.Set("Authorization", "Basic eDp5") }, 400},
		{"an unsigned host", func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "host;", "", 1))
		}, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(Options{})
			body := "Action=GetCallerIdentity"
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
			signForTest(s, r, "sts", []byte(body))
			test.change(r)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != test.want {
				t.Errorf("status %d, want %d: %s", w.Code, test.want, w.Body)
			}
		})
	}
}

func TestAnOldSignatureIsRefused(t *testing.T) {
	for service, want := range map[string]string{"sts": "SignatureDoesNotMatch", "s3": "RequestTimeTooSkewed", "secretsmanager": "InvalidSignatureException"} {
		s := newServer(Options{})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/data", http.NoBody)
		if service == "secretsmanager" {
			r.Header.Set("X-Amz-Target", "secretsmanager.ListSecrets")
		}
		signAt(s, r, service, nil, time.Now().Add(-maxSkew-time.Minute))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if got := s.Calls()[0].Error; got != want {
			t.Errorf("%s: %s, want %s", service, got, want)
		}
	}
}

// BenchmarkCall measures the server's own work in a call, without HTTP.
func BenchmarkCall(b *testing.B) {
	s := newServer(Options{})
	if _, _, err := s.CreateSecret("a", "x"); err != nil {
		b.Fatal(err)
	}
	body := `{"SecretId":"a"}`
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/", http.NoBody)
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	signForTest(s, r, "secretsmanager", []byte(body))
	for b.Loop() {
		r.Body = http.NoBody
		x := parseRequest(r, []byte(body))
		if answer := s.act(x, false); answer.status != http.StatusOK {
			b.Fatalf("status %d: %s", answer.status, answer.body)
		}
	}
}

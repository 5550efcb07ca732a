package aws

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

func TestErrorsAreClassified(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	k := e.issuer(t)
	s := e.store(rota.FieldMap{})
	list := func() error { _, err := k.List(t.Context()); return err }
	describe := func() error { _, err := s.Describe(t.Context()); return err }
	for _, c := range []struct {
		code, action string
		call         func() error
		class        rota.Class
		is           error
		hint         string
	}{
		{"Throttling", "ListAccessKeys", list, rota.ClassWait, nil, ""},
		{"RequestLimitExceeded", "ListAccessKeys", list, rota.ClassWait, nil, ""},
		{"ServiceFailure", "ListAccessKeys", list, rota.ClassWait, nil, ""},
		{"ServiceUnavailable", "ListAccessKeys", list, rota.ClassWait, nil, ""},
		{"ConcurrentModification", "ListAccessKeys", list, rota.ClassWait, nil, ""},
		{"NoSuchEntity", "ListAccessKeys", list, rota.ClassStop, rota.ErrNotFound, "create the IAM user"},
		{"LimitExceeded", "ListAccessKeys", list, rota.ClassStop, rota.ErrLimit, ""},
		{"AccessDenied", "ListAccessKeys", list, rota.ClassStop, nil, "iam:ListAccessKeys"},
		{"ExpiredToken", "ListAccessKeys", list, rota.ClassStop, nil, "expired"},
		{"InvalidClientTokenId", "ListAccessKeys", list, rota.ClassStop, nil, "iam:ListAccessKeys"},
		{"SomethingNew", "ListAccessKeys", list, rota.ClassStop, nil, ""},
		{"ThrottlingException", "DescribeSecret", describe, rota.ClassWait, nil, ""},
		{"InternalServiceError", "DescribeSecret", describe, rota.ClassWait, nil, ""},
		{"AccessDeniedException", "DescribeSecret", describe, rota.ClassStop, nil, "secretsmanager:DescribeSecret"},
		{"UnrecognizedClientException", "DescribeSecret", describe, rota.ClassStop, nil, "credentials"},
		{"ExpiredTokenException", "DescribeSecret", describe, rota.ClassStop, nil, "expired"},
		{"DecryptionFailure", "DescribeSecret", describe, rota.ClassStop, nil, "KMS"},
		{"InvalidParameterException", "DescribeSecret", describe, rota.ClassStop, nil, ""},
	} {
		t.Run(c.code, func(t *testing.T) {
			e.onNext(c.action, attempts, awstest.Fault{FailBefore: c.code})
			err := c.call()
			refusal(t, err, c.class, c.is)
			r, ok := errors.AsType[*rota.Error](err)
			if !ok {
				t.Fatalf("no rota.Error: %T", err)
			}
			if r.System != "aws main" || r.Op == "" {
				t.Errorf("it does not say where: %+v", r)
			}
			if !strings.Contains(rota.Hint(r.Remedies), c.hint) || (c.hint == "") != (rota.Hint(r.Remedies) == "") {
				t.Errorf("hint %q, want one with %q", rota.Hint(r.Remedies), c.hint)
			}
			if text := err.Error(); !strings.Contains(text, c.code) || !strings.Contains(text, "(request ") {
				t.Errorf("AWS's code or the request's id is lost: %s", text)
			}
		})
	}
}

func TestThrottledCallsThatMayBeRepeatedAre(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	k := e.issuer(t)
	e.onNext("ListAccessKeys", attempts-1, awstest.Fault{FailBefore: "Throttling"})
	if _, err := k.List(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNoAnswer(t *testing.T) {
	isolate(t)
	c, err := connect(t.Context(), "main", Config{Region: region, Endpoint: "http://127.0.0.1:1", AccessKeyID: "AKIA", SecretAccessKey: "sEcReT"}, http.DefaultClient, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.SecretsManager(SecretsManagerConfig{Name: "x"}).Describe(t.Context())
	refusal(t, err, rota.ClassWait, nil)
	if text := hint.Text(err); !strings.Contains(text, "refused") || !strings.Contains(text, "(try: check that this machine reaches AWS") {
		t.Errorf("it does not say why, or what to do: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.SecretsManager(SecretsManagerConfig{Name: "x"}).Describe(ctx)
	refusal(t, err, rota.ClassWait, context.Canceled)
}

func TestNoCredentials(t *testing.T) {
	isolate(t)
	c, err := New(t.Context(), "main", Config{Region: region, Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.SecretsManager(SecretsManagerConfig{Name: "x"}).Describe(t.Context())
	refusal(t, err, rota.ClassWait, nil)
	if r, ok := errors.AsType[*rota.Error](err); !ok || !strings.Contains(rota.Hint(r.Remedies), "AWS_ACCESS_KEY_ID") {
		t.Errorf("no hint: %v", err)
	}
}

func TestTheEndOfTheCredentialChainIsNamed(t *testing.T) {
	for _, c := range []struct {
		name, want string
		status     int
	}{
		{"a metadata service that refuses", "metadata service answered status 403", http.StatusForbidden},
		{"a metadata service without a role", "metadata service answered status 404", http.StatusNotFound},
		{"no metadata service", "AWS_EC2_METADATA_DISABLED", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			isolate(t)
			if c.status != 0 {
				metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status) }))
				t.Cleanup(metadata.Close)
				t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
				t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.URL)
			}
			said := stderrOf(t, func() {
				conn, err := New(t.Context(), "main", Config{Region: region, Endpoint: "http://127.0.0.1:1"})
				if err != nil {
					t.Fatal(err)
				}
				_, err = conn.SecretsManager(SecretsManagerConfig{Name: "x"}).Describe(t.Context())
				refusal(t, err, rota.ClassWait, nil)
				for _, part := range []string{"no credentials were found", "environment", "container", c.want, "try: ", "AWS_ACCESS_KEY_ID"} {
					if !strings.Contains(hint.Text(err), part) {
						t.Errorf("%q is missing: %v", part, err)
					}
				}
			})
			if said != "" {
				t.Errorf("the SDK speaks for itself: %s", said)
			}
		})
	}
}

// stderrOf is what the process writes to its standard error meanwhile.
func stderrOf(t *testing.T, do func()) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	before := os.Stderr
	os.Stderr = file
	defer func() { os.Stderr = before }()
	do()
	said, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

func TestClockThatIsWrongIsNoRefusal(t *testing.T) {
	for code, message := range map[string]string{
		"SignatureDoesNotMatch": "Signature expired: 20260301T103000Z is now earlier than 20260301T110000Z",
		"RequestExpired":        "Request has expired.",
		"RequestTimeTooSkewed":  "The difference between the request time and the current time is too large.",
	} {
		if !isSkew(code, message) {
			t.Errorf("%s is not seen as a wrong clock", code)
		}
	}
	if isSkew("SignatureDoesNotMatch", "The request signature we calculated does not match") {
		t.Error("a wrong signature is taken for a wrong clock")
	}
}

package secretsmanager_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/secretsmanager"
)

func TestCallersMustAuthenticate(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	for _, test := range []struct{ name, id, secret, token, want string }{
		{"the right key", keyID, keySecret, "", ""},
		{"another key", "ROTAOTHER", keySecret, "", "UnrecognizedClientException"},
		{"another secret", keyID, "x", "", "InvalidSignatureException"},
		{"a session token", keyID, keySecret, "x", "UnrecognizedClientException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := e.as(test.id, test.secret, test.token).ListSecrets(t.Context(), &sm.ListSecretsInput{})
			wantCode(t, err, test.want)
		})
	}
}

func TestInvalidCallsAreRefused(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	for _, test := range []struct {
		name, method, target, authorization, body string
		status                                    int
		code                                      string
	}{
		{"no operation", "POST", "", "", "{}", 400, "UnknownOperationException"},
		{"another service's", "POST", "DynamoDB_20120810.GetItem", "", "{}", 400, "UnknownOperationException"},
		{"another method", "GET", "secretsmanager.ListSecrets", "", "", 400, "UnknownOperationException"},
		{"no signature", "POST", "secretsmanager.ListSecrets", "", "{}", 400, "MissingAuthenticationTokenException"},
		{"half a signature", "POST", "secretsmanager.ListSecrets", "AWS4-HMAC-SHA256 Credential=x", "{}", 400, "IncompleteSignatureException"},
		{"too much", "POST", "secretsmanager.ListSecrets", "", strings.Repeat("x", 1<<20), 413, "RequestEntityTooLargeException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), test.method, e.url, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amz-Target", test.target)
			r.Header.Set("Authorization", test.authorization)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status || !strings.Contains(string(body), `"__type":"`+test.code+`"`) {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, body, test.status, test.code)
			}
			if resp.Header.Get("X-Amzn-Requestid") == "" || resp.Header.Get("Content-Type") != "application/x-amz-json-1.1" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("header %v", resp.Header)
			}
		})
	}
}

func TestExcessCallsAreThrottled(t *testing.T) {
	e := start(t, secretsmanager.Options{Throttle: func(c access.Caller, operation string) bool {
		return c.Principal == "app/test" && operation == "ListSecrets"
	}})
	_, err := e.client.ListSecrets(t.Context(), &sm.ListSecretsInput{})
	wantCode(t, err, "ThrottlingException")
	_, err = e.client.GetRandomPassword(t.Context(), &sm.GetRandomPasswordInput{})
	wantCode(t, err, "")
}

func TestAuthenticationErrors(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("x: %w", access.ErrUnauthenticated), 400, "UnrecognizedClientException"},
		{fmt.Errorf("x: %w", access.ErrDenied), 400, "AccessDeniedException"},
		{&access.LimitError{RetryAfter: time.Second}, 400, "ThrottlingException"},
		{access.ErrUnavailable, 503, "ServiceUnavailable"},
		{&secretsmanager.Error{Status: 400, Code: "ExpiredTokenException"}, 400, "ExpiredTokenException"},
		{errors.New("disk 7 is full"), 500, "InternalServiceError"},
	} {
		t.Run(test.code, func(t *testing.T) {
			s := secretsmanager.New(secretsmanager.Options{
				Authenticate: func(*http.Request, []byte) (access.Caller, error) { return access.Caller{}, test.err },
				Log:          slog.New(slog.DiscardHandler),
			})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}"))
			r.Header.Set("X-Amz-Target", "secretsmanager.ListSecrets")
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x")
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != test.status || !strings.Contains(w.Body.String(), `"__type":"`+test.code+`"`) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if strings.Contains(w.Body.String(), "disk") {
				t.Error("the client hears of what goes on inside")
			}
		})
	}
}

func TestJSONIsReadStrictly(t *testing.T) {
	e := start(t, secretsmanager.Options{})
	e.create("a", "x")
	for _, test := range []struct{ name, operation, body, want string }{
		{"as it should be", "DescribeSecret", `{"SecretId":"a"}`, ""},
		{"a member that nobody knows", "DescribeSecret", `{"SecretId":"a","New":{"x":[1]}}`, ""},
		{"null is nothing", "GetSecretValue", `{"SecretId":"a","VersionId":null}`, ""},
		{"nothing", "DescribeSecret", ``, "SerializationException"},
		{"a list", "DescribeSecret", `[]`, "SerializationException"},
		{"two objects", "DescribeSecret", `{"SecretId":"a"}{}`, "SerializationException"},
		{"half an object", "DescribeSecret", `{"SecretId":"a"`, "SerializationException"},
		{"a member twice", "DescribeSecret", `{"SecretId":"a","SecretId":"b"}`, "SerializationException"},
		{"a member in another case", "DescribeSecret", `{"secretid":"a"}`, "SerializationException"},
		{"a number for a text", "DescribeSecret", `{"SecretId":7}`, "SerializationException"},
		{"a text for a number", "ListSecrets", `{"MaxResults":"7"}`, "SerializationException"},
		{"a fraction for a number", "ListSecrets", `{"MaxResults":7.5}`, "SerializationException"},
		{"a text for a list", "TagResource", `{"SecretId":"a","Tags":"x"}`, "SerializationException"},
		{"no base64", "PutSecretValue", `{"SecretId":"a","SecretBinary":"%"}`, "SerializationException"},
		{"half a character", "DescribeSecret", `{"SecretId":"\ud83d"}`, "SerializationException"},
		{"the other half", "DescribeSecret", `{"SecretId":"\uDD11"}`, "SerializationException"},
		{"both halves", "DescribeSecret", `{"SecretId":"\ud83d\uDD11"}`, "ValidationException"},
		{"an escaped backslash", "DescribeSecret", `{"SecretId":"\\ud83d"}`, "ValidationException"},
		{"bytes that are no text", "DescribeSecret", "{\"SecretId\":\"\xff\"}", "SerializationException"},
		{"no secret", "DescribeSecret", `{}`, "InvalidParameterException"},
		{"a name that is too long", "DescribeSecret", `{"SecretId":"` + strings.Repeat("a", 2049) + `"}`, "ValidationException"},
		{"a name with a blank", "GetSecretValue", `{"SecretId":"a b"}`, "ValidationException"},
		{"a new name with a blank", "CreateSecret", `{"Name":"a b","ClientRequestToken":"00000000-0000-0000-0000-000000000001"}`, "ValidationException"},
		{"no new name", "CreateSecret", `{"Name":"","ClientRequestToken":"00000000-0000-0000-0000-000000000001"}`, "ValidationException"},
		{"a new name that is too long", "CreateSecret", `{"Name":"` + strings.Repeat("a", 513) + `","ClientRequestToken":"00000000-0000-0000-0000-000000000001"}`, "ValidationException"},
		{"an ARN of another account", "DescribeSecret", `{"SecretId":"arn:aws:secretsmanager:eu-central-1:000000000001:secret:a-AAAAAA"}`, "ResourceNotFoundException"},
		{"an operation that nobody knows", "Describe", `{}`, "UnknownOperationException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if a := e.do(test.operation, test.body); a.Code != test.want {
				t.Errorf("%s, want %q", a.Body, test.want)
			}
		})
	}
}

func TestUnauthorizedCallersAreDenied(t *testing.T) {
	e := start(t, secretsmanager.Options{}, access.Rule{Action: access.Read, Pattern: "prod/*"}, access.Rule{Action: access.List, Pattern: "test/*"})
	for _, name := range []string{"prod/a", "test/a"} {
		if a := e.do("CreateSecret", `{"Name":"`+name+`","SecretString":"x","ClientRequestToken":"`+strings.Repeat("1", 32)+`"}`); a.Code != "" {
			t.Fatal(string(a.Body))
		}
	}
	prod, test := "prod/a", "test/a"
	_, err := e.client.GetSecretValue(t.Context(), &sm.GetSecretValueInput{SecretId: &prod})
	wantCode(t, err, "")
	_, err = e.client.GetSecretValue(t.Context(), &sm.GetSecretValueInput{SecretId: &test})
	wantCode(t, err, "AccessDeniedException")
	_, err = e.client.DescribeSecret(t.Context(), &sm.DescribeSecretInput{SecretId: &prod})
	wantCode(t, err, "AccessDeniedException")
	_, err = e.client.DeleteSecret(t.Context(), &sm.DeleteSecretInput{SecretId: &prod})
	wantCode(t, err, "AccessDeniedException")
	missing := "prod/missing"
	_, err = e.client.DescribeSecret(t.Context(), &sm.DescribeSecretInput{SecretId: &missing})
	wantCode(t, err, "AccessDeniedException") // doesn't reveal whether it exists
	list := must[*sm.ListSecretsOutput](t)(e.client.ListSecrets(t.Context(), &sm.ListSecretsInput{}))
	if len(list.SecretList) != 1 || *list.SecretList[0].Name != test {
		t.Errorf("listed %v", list.SecretList)
	}
	batch := must[*sm.BatchGetSecretValueOutput](t)(e.client.BatchGetSecretValue(t.Context(), &sm.BatchGetSecretValueInput{SecretIdList: []string{prod, test}}))
	if len(batch.SecretValues) != 1 || len(batch.Errors) != 1 || *batch.Errors[0].ErrorCode != "AccessDeniedException" {
		t.Errorf("batch %+v", batch)
	}
	var denied int
	for _, entry := range e.records.Entries("") {
		if entry.Outcome == "denied" {
			denied++
		}
	}
	if denied != 5 {
		t.Errorf("%d refusals in the audit, want 5", denied)
	}
}

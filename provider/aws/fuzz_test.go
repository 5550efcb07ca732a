package aws

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// anything answers every request with the same arbitrary response.
type anything struct {
	status      int
	contentType string
	errorType   string
	body        []byte
}

func (a anything) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	header := http.Header{"Content-Type": {a.contentType}}
	if a.errorType != "" {
		header.Set("X-Amzn-Errortype", a.errorType)
	}
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: r,
	}, nil
}

// printable keeps to what can stand in a header.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}

const fuzzSecret = "wJalrXUtnFEMIbPxRfiCYzEXAMPLEKEY"

// talk connects to a server that answers nonsense.
func talk(t *testing.T, status uint16, contentType, errorType string, body []byte) *Connection {
	t.Helper()
	client := &http.Client{Transport: anything{200 + int(status)%400, printable(contentType), printable(errorType), body}}
	c, err := connect(t.Context(), "fuzz", Config{Region: region, Endpoint: "http://127.0.0.1:1", AccessKeyID: "AKIAROTA", SecretAccessKey: "rota's own secret", Budget: unlimited{}}, client, time.Microsecond)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// quiet checks that an error holds no value, and can be classified.
func quiet(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if strings.Contains(err.Error(), fuzzSecret) || strings.Contains(err.Error(), "rota's own secret") {
		t.Errorf("the error holds a value: %v", err)
	}
	if strings.ContainsAny(err.Error(), "\n\r\x00") {
		t.Errorf("the error has more than one line: %q", err)
	}
	if class := rota.ClassOf(err); class != rota.ClassWait && class != rota.ClassStop {
		t.Errorf("class %q", class)
	}
}

func FuzzIAMAnswers(f *testing.F) {
	isolate(f)
	key := `<CreateAccessKeyResponse><CreateAccessKeyResult><AccessKey><UserName>ci</UserName><AccessKeyId>AKIA1</AccessKeyId><SecretAccessKey>` + fuzzSecret + `</SecretAccessKey></AccessKey></CreateAccessKeyResult></CreateAccessKeyResponse>`
	f.Add(uint16(0), "text/xml", []byte(key))
	f.Add(uint16(0), "text/xml", []byte(strings.Replace(key, "</SecretAccessKey>", "", 1)))
	f.Add(uint16(0), "text/xml", []byte(strings.Replace(key, "<UserName>ci", "<CreateDate>"+fuzzSecret+"</CreateDate><UserName>ci", 1)))
	f.Add(uint16(0), "text/xml", []byte("<"+fuzzSecret+"></x>"))
	f.Add(uint16(0), "text/xml", []byte(`<ListAccessKeysResponse><ListAccessKeysResult><IsTruncated>true</IsTruncated><Marker>m</Marker><AccessKeyMetadata><member><AccessKeyId>AKIA1</AccessKeyId><Status>Inactive</Status></member></AccessKeyMetadata></ListAccessKeysResult></ListAccessKeysResponse>`))
	f.Add(uint16(203), "text/xml", []byte(`<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error><RequestId>r</RequestId></ErrorResponse>`))
	f.Add(uint16(0), "text/xml", []byte(`<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><UserName>ci</UserName></GetAccessKeyLastUsedResult></GetAccessKeyLastUsedResponse>`))
	f.Add(uint16(0), "text/xml", []byte(`<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/ci</Arn><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`))
	f.Add(uint16(300), "", []byte(nil))
	f.Fuzz(func(t *testing.T, status uint16, contentType string, body []byte) {
		c := talk(t, status, contentType, "", body)
		k := c.AccessKeys(AccessKeysConfig{User: "ci"}).(*accessKeys)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		made, err := k.Create(ctx, rota.CreateRequest{})
		quiet(t, err)
		if (err == nil) == made.IsZero() {
			t.Errorf("create gives %v and %v", made, err)
		}
		_, err = k.List(ctx)
		quiet(t, err)
		use, err := k.LastUsed(ctx, "AKIA1")
		quiet(t, err)
		if err != nil && use.Evidence != rota.EvidenceUnknown {
			t.Errorf("an error, and evidence %q", use.Evidence)
		}
		quiet(t, k.Test(ctx, rota.TestRequest{Credential: rota.NewCredential(map[string]string{
			rota.FieldAccessKeyID: "AKIA1", rota.FieldSecretAccessKey: fuzzSecret,
		})}))
		quiet(t, k.Deactivate(ctx, rota.RetireRequest{CredentialID: "AKIA1"}))
		quiet(t, k.Delete(ctx, rota.RetireRequest{CredentialID: "AKIA1"}))
	})
}

func FuzzSecretsManagerAnswers(f *testing.F) {
	isolate(f)
	id := "rota-00000000-0000-0000-0000-000000000000"
	f.Add(uint16(0), "application/x-amz-json-1.1", "", []byte(`{"VersionId":"`+id+`","SecretString":"{\"password\":\"`+fuzzSecret+`\"}","CreatedDate":1.0}`))
	f.Add(uint16(0), "application/x-amz-json-1.1", "", []byte(`{"VersionId":"`+id+`","SecretString":"`+fuzzSecret+`","CreatedDate":"`+fuzzSecret+`"}`))
	f.Add(uint16(0), "application/x-amz-json-1.1", "", []byte(`{"SecretString":"`+fuzzSecret))
	f.Add(uint16(0), "application/x-amz-json-1.1", "", []byte(`{"SecretBinary":"`+fuzzSecret+`"}`))
	f.Add(uint16(0), "application/x-amz-json-1.1", "", []byte(`{"VersionIdsToStages":{"`+id+`":["AWSCURRENT"]},"LastChangedDate":1e300,"Versions":[{"VersionId":"`+id+`","CreatedDate":1}],"NextToken":"x"}`))
	f.Add(uint16(200), "application/x-amz-json-1.1", "InvalidParameterException", []byte(`{"__type":"InvalidParameterException","message":"`+fuzzSecret+`"}`))
	f.Add(uint16(200), "application/x-amz-json-1.1", "ResourceNotFoundException:http://x", []byte(`{"Message":"no"}`))
	f.Add(uint16(200), "application/x-amz-json-1.1", "ResourceExistsException", []byte(`{}`))
	f.Add(uint16(300), "", "", []byte(nil))
	f.Fuzz(func(t *testing.T, status uint16, contentType, errorType string, body []byte) {
		s := talk(t, status, contentType, errorType, body).SecretsManager(SecretsManagerConfig{Name: "prod/x"})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := s.Describe(ctx)
		quietUnless(t, err, body, errorType)
		_, err = s.Get(ctx, rota.GetRequest{Version: id})
		quietUnless(t, err, body, errorType)
		quiet(t, s.Put(ctx, rota.PutRequest{
			Version: id, Labels: []rota.Label{rota.LabelPending},
			Credential: rota.NewCredential(map[string]string{"password": fuzzSecret}),
		}))
		quietUnless(t, s.Move(ctx, rota.MoveRequest{Label: rota.LabelCurrent, From: id, To: "x"}), body, errorType)
	})
}

// quietUnless is quiet but for a refusal whose message has the value in it:
// AWS writes its messages itself, and what reads must show them.
func quietUnless(t *testing.T, err error, body []byte, errorType string) {
	t.Helper()
	if errorType == "" && !bytes.Contains(body, []byte("__type")) && !bytes.Contains(bytes.ToLower(body), []byte("message")) &&
		!bytes.Contains(bytes.ToLower(body), []byte("code")) {
		quiet(t, err)
	}
}

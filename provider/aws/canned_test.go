package aws

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

// roundTrip is a function as an HTTP transport: for what neither of the
// backends can do, and for what happens between them and the SDK.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func through(t *testing.T, endpoint string, id, secret string, f roundTrip) *Connection {
	t.Helper()
	c, err := connect(t.Context(), "main", Config{Region: region, Endpoint: endpoint, AccessKeyID: id, SecretAccessKey: secret},
		&http.Client{Transport: f}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func response(r *http.Request, status int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}
}

func TestPermissionsAreSimulated(t *testing.T) {
	isolate(t)
	var asked string
	c := through(t, "http://127.0.0.1:1", "AKIA", "secret", func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		asked = string(body)
		return response(r, 200, http.Header{"Content-Type": {"text/xml"}}, `<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>
<member><EvalActionName>iam:CreateAccessKey</EvalActionName><EvalDecision>allowed</EvalDecision></member>
<member><EvalActionName>iam:DeleteAccessKey</EvalActionName><EvalDecision>implicitDeny</EvalDecision></member>
</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>`), nil
	})
	got := c.permissions(t.Context(), identity{arn: "arn:aws:sts::111122223333:assumed-role/rota/s", account: "111122223333"},
		[]Permission{
			{Resource: "arn:aws:iam::111122223333:user/ci", Action: "iam:CreateAccessKey"},
			{Resource: "arn:aws:iam::111122223333:user/ci", Action: "iam:DeleteAccessKey"}, {Action: "iam:GetUser", For: ToCheck}})
	want := []rota.Finding{
		{OK: true, Check: "may iam:CreateAccessKey"},
		{Check: "may iam:DeleteAccessKey", Detail: "IAM's policy simulator says implicitDeny",
			Remedies: append(rota.Outside("allow iam:DeleteAccessKey on arn:aws:iam::111122223333:user/ci to arn:aws:iam::111122223333:role/rota"), rota.Command("rota policy aws")...)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(asked, "role%2Frota") || !strings.Contains(asked, "user%2Fci") {
		t.Errorf("asked %s", asked)
	}
}

func TestRootIsNotSimulated(t *testing.T) {
	isolate(t)
	c := through(t, "http://127.0.0.1:1", "AKIA", "secret", func(*http.Request) (*http.Response, error) {
		t.Error("AWS was asked")
		return nil, io.ErrUnexpectedEOF
	})
	got := c.permissions(t.Context(), identity{arn: "arn:aws:iam::111122223333:root"}, []Permission{{Resource: "*", Action: "iam:CreateAccessKey"}})
	if len(got) != 1 || !got[0].OK {
		t.Errorf("%+v", got)
	}
}

func TestWrongClockIsFound(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	c := through(t, e.endpoint, e.id, e.secret, func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			resp.Header.Set("Date", time.Now().Add(3*time.Minute).UTC().Format(http.TimeFormat))
		}
		return resp, err
	})
	_, findings := c.preflightIdentity(t.Context())
	if f := finding(t, findings, "clock"); !f.Warning || !strings.Contains(f.Detail, "away from AWS's") {
		t.Errorf("%+v", f)
	}
}

func TestBucketInAnotherRegionIsReached(t *testing.T) {
	isolate(t)
	var regions []string
	c := through(t, "http://127.0.0.1:1", "AKIA", "secret", func(r *http.Request) (*http.Response, error) {
		scope := strings.Split(r.Header.Get("Authorization"), "/")
		if len(scope) < 3 {
			return nil, fmt.Errorf("not signed: %s", r.Header.Get("Authorization"))
		}
		regions = append(regions, scope[2])
		if scope[2] != "us-west-2" {
			return response(r, http.StatusMovedPermanently, http.Header{"X-Amz-Bucket-Region": {"us-west-2"}}, ""), nil
		}
		return response(r, http.StatusOK, http.Header{}, ""), nil
	})
	if err := c.Bucket("far").Check(t.Context(), key(1)); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{region, "us-west-2"}, regions); diff != "" {
		t.Error(diff)
	}
}

func TestAllPagesOfKeysAreListed(t *testing.T) {
	isolate(t)
	c := through(t, "http://127.0.0.1:1", "AKIA", "secret", func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		id, more := "AKIA1", "<IsTruncated>true</IsTruncated><Marker>next</Marker>"
		if bytes.Contains(body, []byte("Marker=next")) {
			id, more = "AKIA2", "<IsTruncated>false</IsTruncated>"
		}
		return response(r, 200, http.Header{"Content-Type": {"text/xml"}}, `<ListAccessKeysResponse><ListAccessKeysResult>`+more+
			`<AccessKeyMetadata><member><AccessKeyId>`+id+`</AccessKeyId><Status>Inactive</Status></member></AccessKeyMetadata></ListAccessKeysResult></ListAccessKeysResponse>`), nil
	})
	got, err := c.AccessKeys(AccessKeysConfig{User: "ci"}).(rota.Lister).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]rota.Issued{{ID: "AKIA1"}, {ID: "AKIA2"}}, got); diff != "" {
		t.Error(diff)
	}
}

// A rotation of the same name in two accounts must not be mixed up: a key of
// another account's user of that name is somebody else's.
func TestUserOfTheSameNameInAnotherAccountIsSomebodyElse(t *testing.T) {
	isolate(t)
	c := through(t, "http://127.0.0.1:1", "AKIAROTA", "secret", func(r *http.Request) (*http.Response, error) {
		account := "111122223333"
		if !strings.Contains(r.Header.Get("Authorization"), "AKIAROTA") {
			account = "444455556666"
		}
		return response(r, 200, http.Header{"Content-Type": {"text/xml"}}, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::`+account+
			`:user/ci</Arn><Account>`+account+`</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`), nil
	})
	err := c.AccessKeys(AccessKeysConfig{User: "ci"}).Test(t.Context(), rota.TestRequest{Credential: key(1)})
	refusal(t, err, rota.ClassStop, nil)
}

func TestWhoIsNoUserAndNoRoleIsNamed(t *testing.T) {
	isolate(t)
	c := through(t, "http://127.0.0.1:1", "AKIA", "secret", func(*http.Request) (*http.Response, error) {
		t.Error("AWS was asked")
		return nil, io.ErrUnexpectedEOF
	})
	const arn = "arn:aws:sts::111122223333:federated-user/ann"
	got := c.permissions(t.Context(), identity{arn: arn}, []Permission{{Resource: "*", Action: "iam:CreateAccessKey"}})
	if len(got) != 1 || !got[0].Warning || !strings.Contains(rota.Hint(got[0].Remedies), arn+" may do iam:CreateAccessKey") || strings.Contains(rota.Hint(got[0].Remedies), "Simulate") {
		t.Errorf("%+v", got)
	}
}

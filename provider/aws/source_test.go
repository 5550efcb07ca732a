package aws

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

// handedOut are a session's keys as containers and instances get them.
type handedOut struct {
	Code, Type                          string
	AccessKeyID                         string `json:"AccessKeyId"`
	SecretAccessKey, Token, LastUpdated string
	Expiration                          string
}

// keysOf assumes a role as the administrator does, for an endpoint to hand out.
func keysOf(t *testing.T, e *env, role string) handedOut {
	t.Helper()
	out := must(t)(e.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: new("host")})).(*sts.AssumeRoleOutput)
	c := out.Credentials
	return handedOut{Code: "Success", Type: "AWS-HMAC", AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, Token: *c.SessionToken,
		LastUpdated: time.Now().UTC().Format(time.RFC3339), Expiration: c.Expiration.UTC().Format(time.RFC3339)}
}

func respond(t *testing.T, w http.ResponseWriter, v any) {
	t.Helper()
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Error(err)
	}
}

// A way is how Rota logs in by where it runs: it sets up the environment in
// which a new connection finds a role.
type way struct {
	name, words string
	setUp       func(t *testing.T, e *env, role string)
}

const podToken = "pod-token"

func tokenFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(podToken), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var ways = []way{
	{"web identity", "a web identity token", func(t *testing.T, e *env, role string) {
		e.server.Trust("host", awstest.Trust{WebIdentityToken: podToken})
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", tokenFile(t))
		t.Setenv("AWS_ROLE_ARN", role)
	}},
	{"container", "the container's credentials", func(t *testing.T, e *env, role string) {
		keys := keysOf(t, e, role)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != podToken {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			respond(t, w, keys)
		}))
		t.Cleanup(server.Close)
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.URL+"/v1/credentials")
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", tokenFile(t))
	}},
	{"instance profile", "the instance profile", func(t *testing.T, e *env, role string) {
		keys := keysOf(t, e, role)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			const roles, session = "/latest/meta-data/iam/security-credentials/", "imds-session"
			switch {
			case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
				w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
				_, _ = w.Write([]byte(session))
			case r.Header.Get("X-Aws-Ec2-Metadata-Token") != session: // the second version only
				w.WriteHeader(http.StatusUnauthorized)
			case r.URL.Path == roles:
				_, _ = w.Write([]byte("host"))
			case r.URL.Path == roles+"host":
				respond(t, w, keys)
			default:
				w.WriteHeader(http.StatusNotFound)
			}
		}))
		t.Cleanup(server.Close)
		t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
	}},
}

// keyless keeps every source of credentials of this machine out.
func keyless(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_SERVICE_ENDPOINT"} {
		t.Setenv(name, "")
	}
}

func TestRotaLogsInByWhereItRuns(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			e := startAWSTest(t, awstest.Options{})
			keyless(t)
			role := e.server.CreateRole("host", "iam:*", "sts:AssumeRole")
			user := e.user(t)
			w.setUp(t, e, role)

			c := e.connect(t, Config{})
			findings := c.AccessKeys(AccessKeysConfig{User: user}).(rota.Preflighter).Preflight(t.Context())
			f := finding(t, findings, "who Rota is")
			if !f.OK || !strings.Contains(f.Detail, ":assumed-role/host/") || !strings.Contains(f.Detail, "logged in by "+w.words) {
				t.Errorf("it says %+v", f)
			}
			for _, f := range findings {
				if strings.Contains(f.Check, "own login") {
					t.Errorf("a role is warned of: %+v", f)
				}
			}
			if _, err := c.AccessKeys(AccessKeysConfig{User: user}).Create(t.Context(), rota.CreateRequest{}); err != nil {
				t.Error(err)
			}

			hub := e.server.CreateRole("hub", "sts:AssumeRole")
			over := e.server.CreateRole("over", "iam:*")
			e.server.Trust("over", awstest.Trust{ExternalID: "shared"})
			other := e.connect(t, Config{RoleARN: over, ExternalID: "shared", Chain: []string{hub}})
			f = finding(t, other.AccessKeys(AccessKeysConfig{User: user}).(rota.Preflighter).Preflight(t.Context()), "who Rota is")
			if !f.OK || !strings.Contains(f.Detail, ":assumed-role/over/rota, logged in by "+w.words) || !strings.HasSuffix(f.Detail, "and the role "+over) {
				t.Errorf("over a role it says %+v", f)
			}
		})
	}
}

func TestAWebIdentityIsTakenByMoto(t *testing.T) {
	isolate(t)
	keyless(t)
	// Where moto authenticates, it takes no call without a signature at all.
	e := newEnv(t, testenv.Moto(t).URL, "AKIAANYBODY000000000", "anything")
	role := must(t)(e.admin.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: new("host"), AssumeRolePolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"*"},"Action":"sts:AssumeRoleWithWebIdentity"}]}`)})).(*iam.CreateRoleOutput)
	must(t)(e.admin.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: new("host"), PolicyName: new("all"), PolicyDocument: new(allow("*"))}))
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", tokenFile(t))
	t.Setenv("AWS_ROLE_ARN", *role.Role.Arn)
	c := e.connect(t, Config{})
	_, findings := c.preflightIdentity(t.Context())
	if f := finding(t, findings, "who Rota is"); !f.OK || !strings.Contains(f.Detail, ":assumed-role/host/") || !strings.Contains(f.Detail, "web identity token") {
		t.Errorf("it says %+v", f)
	}
}

func TestAWrongWebIdentityIsToldOf(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	keyless(t)
	role := e.server.CreateRole("host", "iam:*")
	e.server.Trust("host", awstest.Trust{WebIdentityToken: "another"})
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", tokenFile(t))
	t.Setenv("AWS_ROLE_ARN", role)
	_, findings := e.connect(t, Config{}).preflightIdentity(t.Context())
	f := finding(t, findings, "who Rota is")
	if f.OK || !strings.Contains(f.Detail, "InvalidIdentityToken") || strings.Contains(f.Detail, podToken) {
		t.Errorf("it says %+v", f)
	}
}

func TestALongLivedKeyOfRotasOwnIsWarnedOf(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	keyless(t)
	user := e.user(t)
	t.Setenv("AWS_ACCESS_KEY_ID", e.id)
	t.Setenv("AWS_SECRET_ACCESS_KEY", e.secret)
	for name, c := range map[string]struct {
		cfg  Config
		from string
	}{
		"of the connection":  {Config{AccessKeyID: e.id, SecretAccessKey: e.secret}, "in rota.yaml"},
		"of the environment": {Config{}, "the access key in the environment"},
		"behind a role":      {Config{RoleARN: e.server.CreateRole("rota", "iam:*")}, "the access key in the environment"},
	} {
		t.Run(name, func(t *testing.T) {
			f := finding(t, e.connect(t, c.cfg).AccessKeys(AccessKeysConfig{User: user}).(rota.Preflighter).Preflight(t.Context()), "Rota's own login")
			if !f.Warning || !strings.Contains(f.Detail, e.id) || !strings.Contains(f.Detail, c.from) || !strings.Contains(rota.Hint(f.Remedies), "IRSA") {
				t.Errorf("it says %+v", f)
			}
		})
	}
}

func TestAdviceOnDoingWithoutAKey(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	keyless(t)
	user := e.user(t)
	id, _, err := e.server.CreateAccessKey(user)
	if err != nil {
		t.Fatal(err)
	}
	e.server.SetLastUsed(id, time.Now(), "s3", "eu-central-1")
	for name, c := range map[string]struct {
		platforms []provider.Platform
		want      string
	}{
		"for pods":      {[]provider.Platform{provider.PlatformPods}, "Pod Identity"},
		"for CI jobs":   {[]provider.Platform{provider.PlatformJobs}, "AssumeRoleWithWebIdentity"},
		"for a file":    {[]provider.Platform{provider.PlatformMachine}, "IAM Roles Anywhere"},
		"for nobody":    {nil, "instance profile"},
		"for the first": {[]provider.Platform{provider.PlatformUnknown, provider.PlatformJobs}, "id tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "for a file" && vendor() == "Amazon EC2" {
				c.want = "instance profile"
			}
			f := finding(t, e.AccessKeys(AccessKeysConfig{User: user, Platforms: c.platforms}).(rota.Preflighter).Preflight(t.Context()), "do without the key")
			if !f.OK || !strings.Contains(f.Detail, c.want) || !strings.Contains(f.Detail, id+" last did: s3 in eu-central-1") {
				t.Errorf("it says %+v", f)
			}
		})
	}
	for _, f := range e.AccessKeys(AccessKeysConfig{User: user, NoAdvice: true}).(rota.Preflighter).Preflight(t.Context()) {
		if f.Check == "do without the key" {
			t.Errorf("silenced advice: %+v", f)
		}
	}
}

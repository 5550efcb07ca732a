package realtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/vault"
	"github.com/rota-dev/rota/provider/vault/vaulttest"
)

// Each way to log in gets Rota in, and a wrong one is named.
func TestLogins(t *testing.T) {
	b := core(t)
	mount := b.Mount(t, "kv", "2")
	b.Do(t, http.MethodPost, "sys/policies/acl/rota", map[string]any{"policy": `path "` + mount + `/data/app" { capabilities = ["create", "read", "update"] }`})
	for _, test := range []struct {
		name      string
		good, bad vault.Login
	}{
		login("AppRole", appRole, t, b), login("JWT", jwtLogin, t, b), login("Kubernetes", kubernetesLogin, t, b), login("AWS", awsLogin, t, b), login("token", token, t, b),
	} {
		t.Run(test.name, func(t *testing.T) {
			target := func(l vault.Login) *vault.KV {
				connection, _ := b.Connect(t, l)
				return &vault.KV{Target: "kv", Connection: connection, Entry: vault.Entry{Mount: mount, Path: "app", Version: 2}}
			}
			deliver := func(x *vault.KV) error {
				return x.Deliver(t.Context(), rota.DeliverRequest{Secret: "prod/app", Credential: rota.NewCredential(map[string]string{"password": test.name + "-canary"})})
			}
			x := target(test.good)
			if err := deliver(x); err != nil {
				t.Fatal(err)
			}
			for _, f := range x.Preflight(t.Context()) {
				if !f.OK {
					t.Errorf("preflight says %+v", f)
				}
			}
			vaulttest.Wrong(t, deliver(target(test.bad)), rota.ClassStop, "login is not valid", "connection test")
		})
	}
}

// Vault doesn't say that it couldn't ask Kubernetes, and it may pass.
func TestAKubernetesThatCantBeAskedIsWaitedFor(t *testing.T) {
	b := core(t)
	good, _ := kubernetesLogin(t, b)
	b.Do(t, http.MethodPost, "auth/"+good.(vault.JWTLogin).Mount+"/config", map[string]any{"kubernetes_host": "http://127.0.0.1:1", "disable_local_ca_jwt": true, "token_reviewer_jwt": "x"})
	connection, _ := b.Connect(t, good)
	target := &vault.KV{Target: "kv", Connection: connection, Entry: vault.Entry{Mount: b.Mount(t, "kv", "2"), Path: "app", Version: 2}}
	err := target.Deliver(t.Context(), rota.DeliverRequest{Secret: "prod/app", Credential: rota.NewCredential(map[string]string{"password": "value-canary"})})
	vaulttest.Wrong(t, err, rota.ClassWait, "permission denied", "token_reviewer_jwt")
}

func login(name string, of func(*testing.T, vaulttest.Backend) (good, bad vault.Login), t *testing.T, b vaulttest.Backend) struct {
	name      string
	good, bad vault.Login
} {
	good, bad := of(t, b)
	return struct {
		name      string
		good, bad vault.Login
	}{name, good, bad}
}

func text(m map[string]any, key string) string {
	value, _ := m[key].(string)
	return value
}

func token(t *testing.T, b vaulttest.Backend) (good, bad vault.Login) {
	out, _ := b.Ask(t, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"rota"}, "period": "1h", "no_parent": true})
	auth, _ := out["auth"].(map[string]any)
	return vault.Token(text(auth, "client_token")), vault.Token("hvs.wrong-canary")
}

func appRole(t *testing.T, b vaulttest.Backend) (good, bad vault.Login) {
	mount := b.Mount(t, "auth/approle", "")
	b.Do(t, http.MethodPost, "auth/"+mount+"/role/rota", map[string]any{"token_policies": []string{"rota"}})
	role := text(b.Do(t, http.MethodGet, "auth/"+mount+"/role/rota/role-id", nil), "role_id")
	secret := text(b.Do(t, http.MethodPost, "auth/"+mount+"/role/rota/secret-id", map[string]any{}), "secret_id")
	return vault.AppRoleLogin{Mount: mount, RoleID: role, SecretID: secret}, vault.AppRoleLogin{Mount: mount, RoleID: role, SecretID: "wrong-canary"}
}

// written is a file with a text.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func jwtLogin(t *testing.T, b vaulttest.Backend) (good, bad vault.Login) {
	mount := b.Mount(t, "auth/jwt", "")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	b.Do(t, http.MethodPost, "auth/"+mount+"/config", map[string]any{"jwt_validation_pubkeys": []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}})
	b.Do(t, http.MethodPost, "auth/"+mount+"/role/rota", map[string]any{"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"vault"}, "token_policies": []string{"rota"}})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(audience string) string {
		text, err := josejwt.Signed(signer).Claims(josejwt.Claims{Subject: "rota", Audience: josejwt.Audience{audience}, IssuedAt: josejwt.NewNumericDate(time.Now().Add(-time.Minute)), NotBefore: josejwt.NewNumericDate(time.Now().Add(-time.Minute)), Expiry: josejwt.NewNumericDate(time.Now().Add(time.Hour))}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return written(t, text+"\n")
	}
	return vault.JWTLogin{Mount: mount, Role: "rota", File: signed("vault")}, vault.JWTLogin{Mount: mount, Role: "rota", File: signed("others")}
}

// kubernetesLogin has a stand-in for Kubernetes' TokenReview, which Vault asks.
func kubernetesLogin(t *testing.T, b vaulttest.Backend) (good, bad vault.Login) {
	mount := b.Mount(t, "auth/kubernetes", "")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	account := func(name string) string {
		text, err := josejwt.Signed(signer).Claims(map[string]any{"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:ops:" + name, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Add(-time.Minute).Unix(), "nbf": time.Now().Add(-time.Minute).Unix(),
			"kubernetes.io": map[string]any{"namespace": "ops", "serviceaccount": map[string]any{"name": name, "uid": "1"}}}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	rota := account("rota")
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct{ Spec struct{ Token string } }
		_ = json.NewDecoder(r.Body).Decode(&review)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": map[string]any{"authenticated": review.Spec.Token == rota,
			"user": map[string]any{"username": "system:serviceaccount:ops:rota", "uid": "1", "groups": []string{"system:serviceaccounts"}}}})
	}))
	t.Cleanup(api.Close)
	b.Do(t, http.MethodPost, "auth/"+mount+"/config", map[string]any{"kubernetes_host": api.URL, "disable_local_ca_jwt": true, "token_reviewer_jwt": rota})
	b.Do(t, http.MethodPost, "auth/"+mount+"/role/rota", map[string]any{"bound_service_account_names": []string{"rota"}, "bound_service_account_namespaces": []string{"ops"}, "token_policies": []string{"rota"}})
	return vault.JWTLogin{Mount: mount, Role: "rota", File: written(t, rota)}, vault.JWTLogin{Mount: mount, Role: "rota", File: written(t, account("other"))}
}

// awsLogin has a stand-in for STS, which Vault sends Rota's signed request to.
func awsLogin(t *testing.T, b vaulttest.Backend) (good, bad vault.Login) {
	mount := b.Mount(t, "auth/aws", "")
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/xml")
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIAROTA/") || !strings.Contains(r.Header.Get("Authorization"), "x-vault-aws-iam-server-id") || string(body) != "Action=GetCallerIdentity&Version=2011-06-15" {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>")
			return
		}
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/rota</Arn><UserId>AIDAROTA</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(sts.Close)
	b.Do(t, http.MethodPost, "auth/"+mount+"/config/client", map[string]any{"sts_endpoint": sts.URL, "sts_region": "eu-central-1", "iam_server_id_header_value": "vault.internal"})
	b.Do(t, http.MethodPost, "auth/"+mount+"/role/rota", map[string]any{"auth_type": "iam", "bound_iam_principal_arn": []string{"arn:aws:iam::111122223333:user/rota"}, "resolve_aws_unique_ids": false, "token_policies": []string{"rota"}})
	with := func(key string) vault.AWSLogin {
		return vault.AWSLogin{Mount: mount, Role: "rota", Region: "eu-central-1", ServerID: "vault.internal", Credentials: awssdk.NewCredentialsCache(credentials.NewStaticCredentialsProvider(key, "secret-canary", ""))}
	}
	return with("AKIAROTA"), with("AKIAOTHER")
}

package kms_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"gocloud.dev/secrets/localsecrets"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/store/kms"
	"github.com/rota-dev/rota/internal/testenv"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openKey(t testing.TB, address string, older ...string) *kms.Key {
	t.Helper()
	k, err := kms.Open(t.Context(), address, older...)
	must(t, err)
	t.Cleanup(func() { must(t, k.Close()) })
	return k
}

// localKey is the URL of a key in this process.
func localKey(t testing.TB) string {
	t.Helper()
	key, err := localsecrets.NewRandomKey()
	must(t, err)
	return "base64key://" + base64.URLEncoding.EncodeToString(key[:])
}

// roundTrip stores a value in a store whose master key this key encrypts, and
// reads it after reopening the store and after rotating the master key.
func roundTrip(t *testing.T, address string) {
	t.Helper()
	o := store.Options{Dir: filepath.Join(t.TempDir(), "data"), Wrapper: openKey(t, address)}
	want := rota.NewCredential(map[string]string{rota.FieldPassword: "one"})
	for round := range 3 {
		db, err := store.Open(t.Context(), o)
		must(t, err)
		s := db.Secret("s")
		if round == 0 {
			must(t, s.Put(t.Context(), rota.PutRequest{Version: "v1", Credential: want, Labels: []rota.Label{rota.LabelCurrent}}))
		}
		got, err := s.Get(t.Context(), rota.GetRequest{Version: "v1"})
		must(t, err)
		if !got.Equal(want) {
			t.Errorf("round %d: another value", round)
		}
		must(t, db.RotateMasterKey(t.Context(), nil))
		must(t, db.Close())
	}
}

func TestAKeyInThisProcess(t *testing.T) { roundTrip(t, localKey(t)) }

func TestAWSKMS(t *testing.T) {
	moto := testenv.Moto(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	client := awskms.New(awskms.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(moto.URL),
		Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "test", ""),
	})
	key, err := client.CreateKey(t.Context(), &awskms.CreateKeyInput{})
	must(t, err)
	_, err = client.CreateAlias(t.Context(), &awskms.CreateAliasInput{AliasName: aws.String("alias/rota"), TargetKeyId: key.KeyMetadata.KeyId})
	must(t, err)
	where := "?region=eu-central-1&awssdk=v2&endpoint=" + moto.URL
	for name, id := range map[string]string{"by its id": *key.KeyMetadata.KeyId, "by its ARN": "/" + *key.KeyMetadata.Arn, "by an alias": "/alias/rota"} {
		t.Run(name, func(t *testing.T) { roundTrip(t, "awskms://"+id+where) })
	}
	t.Run("that is not there", func(t *testing.T) {
		_, err := openKey(t, "awskms:///alias/other"+where).Wrap(t.Context(), []byte("x"))
		if rota.ClassOf(err) != rota.ClassStop || !strings.Contains(hint.Text(err), "kms:Encrypt") {
			t.Errorf("%v, want a stop that names the rights", err)
		}
	})
}

// transit is a minimal fake of Vault's Transit engine, after
// https://developer.hashicorp.com/vault/api-docs/secret/transit: encrypt and
// decrypt with one key, whose ciphertexts are the plaintexts with a prefix.
func transit(t testing.TB) *httptest.Server {
	t.Helper()
	const prefix = "vault:v1:"
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Plaintext, Ciphertext string }
		answer := func(status int, body any) {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(body)
		}
		refuse := func(status int, text string) { answer(status, map[string][]string{"errors": {text}}) }
		if r.Header.Get("X-Vault-Token") != "t0ken" {
			refuse(http.StatusForbidden, "permission denied")
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Method != http.MethodPut {
			refuse(http.StatusBadRequest, "a PUT with JSON is expected")
			return
		}
		switch r.URL.Path {
		case "/v1/transit/encrypt/rota":
			answer(http.StatusOK, map[string]any{"data": map[string]any{"ciphertext": prefix + in.Plaintext, "key_version": 1}})
		case "/v1/transit/decrypt/rota":
			plain, ok := strings.CutPrefix(in.Ciphertext, prefix)
			if !ok {
				refuse(http.StatusBadRequest, "invalid ciphertext: no prefix")
				return
			}
			answer(http.StatusOK, map[string]any{"data": map[string]any{"plaintext": plain}})
		case "/v1/transit/encrypt/odd":
			answer(http.StatusOK, map[string]any{"data": map[string]any{}})
		case "/v1/transit/encrypt/slow":
			<-over
		default:
			refuse(http.StatusForbidden, "1 error occurred: permission denied")
		}
	}))
	t.Cleanup(func() {
		close(over)
		server.Close()
	})
	return server
}

func TestVaultTransit(t *testing.T) {
	t.Setenv("VAULT_ADDR", transit(t).URL)
	t.Setenv("VAULT_TOKEN", "t0ken")
	roundTrip(t, "hashivault://rota")
	for _, tt := range []struct{ name, key, want string }{
		{"a key that the policy does not allow", "other", "(try: check VAULT_ADDR"},
		{"an answer without what was asked for", "odd", "unexpected response"},
		{"no answer", "slow", "deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			k, err := kms.Open(ctx, "hashivault://"+tt.key)
			must(t, err)
			_, err = k.Wrap(ctx, []byte("x"))
			if err == nil || !strings.Contains(hint.Text(err), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestOpeningAzureKeyVaultMakesNoCalls(t *testing.T) {
	openKey(t, "azurekeyvault://rota.vault.azure.net/keys/master")
}

func TestOpenRefuses(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "none.json"))
	for _, tt := range []struct{ name, address, want string }{
		{"no address", "", "no key management service has the scheme"},
		{"a service that nobody knows", "keepass://x", "(try: one of awskms:, azurekeyvault:, gcpkms:, hashivault:)"},
		{"an address without a key", "awskms://?region=x", "names no key (try: awskms:///alias/rota?region=eu-central-1)"},
		{"an address with an odd option", "hashivault://rota?moter=transit", "(try: hashivault://KEY?engine=transit)"},
		{"what is no address", "awskms://%zz", "can't be parsed (try: awskms:"},
		{"Google without credentials", "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k", "(try: gcpkms://projects/P/"},
		{"Azure without a vault", "azurekeyvault://example.com/keys/k", "(try: azurekeyvault://NAME.vault.azure.net/keys/KEY)"},
		{"a local key that is none", "base64key://c2VjcmV0IGtleQ==", "its URL can't be parsed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
			k, err := kms.Open(t.Context(), tt.address)
			if err == nil {
				t.Fatal(errors.Join(errors.New("it was opened"), k.Close()))
			}
			if !strings.Contains(hint.Text(err), tt.want) || strings.Contains(hint.Text(err), "c2VjcmV0IGtleQ") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestMovingToAnotherKey(t *testing.T) {
	old, next := localKey(t), localKey(t)
	o := store.Options{Dir: filepath.Join(t.TempDir(), "data")}
	open := func(k *kms.Key) (*store.DB, error) {
		o.Wrapper = k
		return store.Open(t.Context(), o)
	}
	db, err := open(openKey(t, old))
	must(t, err)
	must(t, db.Close())
	if _, err := open(openKey(t, next)); err == nil {
		t.Error("another key opens the store")
	}
	db, err = open(openKey(t, next, old))
	must(t, err)
	must(t, db.RotateMasterKey(t.Context(), nil))
	must(t, db.Close())
	db, err = open(openKey(t, next))
	must(t, err)
	must(t, db.Close())
	if _, err := open(openKey(t, old)); err == nil {
		t.Error("the key before still opens the store")
	}
}

// A key is what the store asks for.
var _ store.Wrapper = (*kms.Key)(nil)

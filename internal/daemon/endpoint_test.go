package daemon_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota"
)

// onStores runs a test on both of Rota's own stores, with a name for the role
// and the database's URL, "" for SQLite.
func onStores(t *testing.T, f func(t *testing.T, role, database string)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { f(t, "sqlite", "") })
	t.Run("PostgreSQL", func(t *testing.T) { f(t, "postgresql", server.Get(t).NewDatabase(t)) })
}

func TestValuesPutByOthersAreNoticedImmediately(t *testing.T) {
	onStores(t, func(t *testing.T, role, database string) {
		told := filepath.Join(t.TempDir(), "events")
		text := roleConfig(t, "put_"+role, "30d")
		text = strings.Replace(text, "connections:\n", "connections:\n  file: {command: {run: [sh, -c, 'cat >> "+told+"']}}\n", 1)
		text = strings.Replace(text, "    policy:", "    notify: [{connection: file, events: [held]}]\n    policy:", 1)
		w := start(t, database, text)
		name := "app/put_" + role
		path := "/v1/secrets/" + strings.ReplaceAll(name, "/", "%2F")
		w.do(http.MethodPost, path+"/rotate", nil)
		state := func() api.StatusSecretDoc {
			var doc api.StatusSecretDoc
			w.do(http.MethodGet, path, &doc)
			return doc
		}
		eventually(t, "all is well", func() bool { return state().State == api.StateOK })
		before, _, err := w.password(name)
		if err != nil {
			t.Fatal(err)
		}

		put, err := w.secretsManager().PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: aws.String(`{"username":"put_` + role + `","password":"by hand"}`)})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is held", func() bool { return state().State == api.StateHeld })
		if reason := state().Reason; !strings.Contains(reason, *put.VersionId) || !strings.Contains(reason, "changed by someone else") {
			t.Errorf("held: %s", reason)
		}
		eventually(t, "an event goes out", func() bool {
			text, err := os.ReadFile(told)
			return err == nil && strings.Contains(string(text), *put.VersionId)
		})
		var e rota.Event
		line, _, _ := strings.Cut(string(must(os.ReadFile(told))), "\n")
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Kind != rota.EventHeld || e.Secret != name {
			t.Errorf("the event is %+v, %v", e, err)
		}

		// Once moved back, it's healthy again.
		if _, err := w.secretsManager().UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
			SecretId: &name, VersionStage: aws.String("AWSCURRENT"), RemoveFromVersionId: put.VersionId, MoveToVersionId: &before,
		}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the hold ends", func() bool { return state().State == api.StateOK })
	})
}

func TestTheEndpointShowsHowTheConfigurationRotates(t *testing.T) {
	onStores(t, func(t *testing.T, role, database string) {
		w := start(t, database, roleConfig(t, "seen_"+role, "30d"))
		name := "app/seen_" + role
		w.do(http.MethodPost, "/v1/secrets/"+strings.ReplaceAll(name, "/", "%2F")+"/rotate", nil)
		version, _, err := w.password(name)
		if err != nil {
			t.Fatal(err)
		}
		var d *secretsmanager.DescribeSecretOutput
		eventually(t, "the next rotation is planned", func() bool {
			d, err = w.secretsManager().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &name})
			if err != nil {
				t.Fatal(err)
			}
			return d.NextRotationDate != nil
		})
		status := must(w.db.Journal().Load(t.Context(), name)).Progress.Status
		if status.Version != version || !aws.ToBool(d.RotationEnabled) || d.LastRotatedDate.Sub(status.IssuedAt).Abs() >= time.Second || d.NextRotationDate.Sub(status.RotateAt).Abs() >= time.Second {
			t.Errorf("enabled %v, last %v, next %v, the status is %+v", d.RotationEnabled, d.LastRotatedDate, d.NextRotationDate, status)
		}
		if d.RotationRules == nil || aws.ToInt64(d.RotationRules.AutomaticallyAfterDays) != 30 {
			t.Errorf("rules %+v", d.RotationRules)
		}
		_, err = w.secretsManager().DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &name})
		if err == nil || !strings.Contains(err.Error(), "InvalidRequestException") {
			t.Errorf("deleting it: %v", err)
		}
	})
}

func TestAReadAtTheEndpointHoldsTheVersion(t *testing.T) {
	onStores(t, func(t *testing.T, role, database string) {
		w := start(t, database, roleConfig(t, "held_"+role, "30d"))
		name := "app/held_" + role
		path := "/v1/secrets/" + strings.ReplaceAll(name, "/", "%2F")
		w.do(http.MethodPost, path+"/rotate", nil)
		if _, err := w.secretsManager().ListSecretVersionIds(t.Context(), &secretsmanager.ListSecretVersionIdsInput{SecretId: &name}); err != nil {
			t.Fatal(err)
		}
		var doc api.HoldersDoc
		if w.do(http.MethodGet, path+"/holders", &doc); doc.Instances != 0 {
			t.Errorf("before the value was read: %+v", doc)
		}
		first, _, err := w.password(name)
		if err != nil {
			t.Fatal(err)
		}
		w.do(http.MethodPost, path+"/rotate", nil)
		second, _, err := w.password(name)
		if err != nil {
			t.Fatal(err)
		}
		w.do(http.MethodGet, path+"/holders", &doc)
		if doc.Instances != 1 || doc.Older != 1 || len(doc.Holders) != 2 || doc.Holders[0].Version != first || doc.Holders[1].Version != second || !doc.Holders[1].Current ||
			doc.Holders[0].Instance != w.key.Key.ID+" from 127.0.0.1" || doc.ListeningSince.IsZero() {
			t.Errorf("after two reads: %+v", doc)
		}
	})
}

func TestAuthenticationErrorsUseAWSsCodes(t *testing.T) {
	w := start(t, "", "secrets: []\n")
	id, secret := w.key.Key.ID, w.key.Secret.Reveal()
	for _, test := range []struct {
		name, id, secret string
		off              time.Duration
		want             string
	}{
		{"the right key", id, secret, 0, ""},
		{"a wrong secret", id, "wrong", 0, "InvalidSignatureException"},
		{"a wrong clock", id, secret, -time.Hour, "InvalidSignatureException"},
		{"one of AWS's keys", "AKIDEXAMPLE", secret, 0, "UnrecognizedClientException"},
		{"a key that there is not", "ROTA" + strings.Repeat("A", len(id)-4), secret, 0, "InvalidSignatureException"},
		{"no key", "", "", 0, "MissingAuthenticationTokenException"},
		{"a body that isn't signed", id, secret, 0, "InvalidSignatureException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amz-Target", "secretsmanager.ListSecrets")
			if test.id != "" {
				sum := sha256.Sum256([]byte("{}"))
				service, payload := "secretsmanager", hex.EncodeToString(sum[:])
				if test.name == "a body that isn't signed" {
					service, payload = "s3", "UNSIGNED-PAYLOAD"
					r.Header.Set("X-Amz-Content-Sha256", payload)
				}
				err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: test.id, SecretAccessKey: test.secret}, r, payload, service, "eu-central-1", w.db.Now().Add(test.off))
				if err != nil {
					t.Fatal(err)
				}
			}
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = a.Body.Close() }()
			var doc struct {
				Type    string `json:"__type"`
				Message string
			}
			if err := json.NewDecoder(a.Body).Decode(&doc); err != nil {
				t.Fatal(err)
			}
			status := http.StatusBadRequest
			if test.want == "" {
				status = http.StatusOK
			}
			if doc.Type != test.want || a.StatusCode != status {
				t.Errorf("%d %s (%s), want %d %s", a.StatusCode, doc.Type, doc.Message, status, test.want)
			}
		})
	}
}

package secretsmanager_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/server/secretsmanager"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/store/record"
)

// operations are the bodies that the fuzzer starts with.
var operations = map[string]string{
	"BatchGetSecretValue":             `{"Filters":[{"Key":"all","Values":["!a b"]}],"MaxResults":3}`,
	"CancelRotateSecret":              `{"SecretId":"a"}`,
	"CreateSecret":                    `{"Name":"b","SecretBinary":"AAEC","ClientRequestToken":"0123456789012345678901234567890123","Tags":[{"Key":"k","Value":"v"}],"KmsKeyId":"","Description":"ü"}`,
	"DeleteResourcePolicy":            `{"SecretId":"a"}`,
	"DeleteSecret":                    `{"SecretId":"a","RecoveryWindowInDays":7,"ForceDeleteWithoutRecovery":false}`,
	"DescribeSecret":                  `{"SecretId":"arn:aws:secretsmanager:us-east-1:000000000000:secret:a-AbCdEf"}`,
	"GetRandomPassword":               `{"PasswordLength":5,"ExcludeCharacters":"é\u0000","RequireEachIncludedType":true,"IncludeSpace":true}`,
	"GetResourcePolicy":               `{"SecretId":"a"}`,
	"GetSecretValue":                  `{"SecretId":"a","VersionId":"0123456789012345678901234567890123","VersionStage":"AWSCURRENT"}`,
	"ListResourcePolicies":            `{"SecretId":"a","MaxResults":1}`,
	"ListSecretVersionIds":            `{"SecretId":"a","NextToken":"MQ","IncludeDeprecated":true}`,
	"ListSecrets":                     `{"NextToken":"eyJuIjoiYSJ9","SortBy":"name","SortOrder":"desc","IncludePlannedDeletion":true}`,
	"PutResourcePolicy":               `{"SecretId":"a","ResourcePolicy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":\"*\"}]}","BlockPublicPolicy":true}`,
	"PutSecretValue":                  `{"SecretId":"a","SecretString":"\ud83d\udd11","ClientRequestToken":"1123456789012345678901234567890123","VersionStages":["AWSPENDING","x"]}`,
	"RestoreSecret":                   `{"SecretId":"a"}`,
	"RotateSecret":                    `{"SecretId":"a","ClientRequestToken":"1123456789012345678901234567890123","RotationLambdaARN":"f","RotationRules":{"ScheduleExpression":"cron(0 8 ? * 6L *)","Duration":"3h"},"RotateImmediately":false}`,
	"TagResource":                     `{"SecretId":"a","Tags":[{"Key":"k"}]}`,
	"UntagResource":                   `{"SecretId":"a","TagKeys":["k"]}`,
	"UpdateSecret":                    `{"SecretId":"a","Description":null,"SecretString":"x","ClientRequestToken":"1123456789012345678901234567890123"}`,
	"UpdateSecretVersionStage":        `{"SecretId":"a","VersionStage":"AWSCURRENT","RemoveFromVersionId":"0123456789012345678901234567890123"}`,
	"ValidateResourcePolicy":          `{"ResourcePolicy":"{}"}`,
	"AssociateCrossAccountReplica":    `{"SecretId":"a"}`,
	"DisassociateCrossAccountReplica": `{"SecretId":"a"}`,
	"RemoveRegionsFromReplication":    `{"SecretId":"a"}`,
	"ReplicateSecretToRegions":        `{"SecretId":"a"}`,
	"StopReplicationToReplica":        `{"SecretId":"a"}`,
}

// FuzzCall sends arbitrary JSON to every operation: it may be refused, but must
// not fail, nor break the invariants of labels.
func FuzzCall(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(operations)) {
		f.Add(name, operations[name])
	}
	functions := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	f.Cleanup(functions.Close)
	f.Fuzz(func(t *testing.T, operation, body string) {
		m := &record.Memory{}
		s := secretsmanager.New(secretsmanager.Options{Records: record.Guard(m, nil), Functions: map[string]string{"f": functions.URL}})
		defer s.Close()
		setUp := s.Do(t.Context(), access.Local("me"), "CreateSecret", []byte(`{"Name":"a","SecretString":"hush","ClientRequestToken":"0123456789012345678901234567890123"}`))
		if setUp.Status != 200 {
			t.Fatalf("%s", setUp.Body)
		}
		a := s.Do(t.Context(), access.Local("me"), operation, []byte(body))
		if a.Status != 200 && (a.Status != 400 || a.Code == "") {
			t.Errorf("status %d: %s", a.Status, a.Body)
		}
		if !json.Valid(a.Body) {
			t.Errorf("answer %s", a.Body)
		}
		r, err := m.View(t.Context(), "a")
		if err != nil {
			return // deleted
		}
		holders := map[string]string{}
		for _, v := range r.Versions {
			for _, label := range v.Labels {
				if holders[label] != "" {
					t.Errorf("%s is on %s and %s", label, holders[label], v.ID)
				}
				holders[label] = v.ID
			}
		}
		if holders["AWSCURRENT"] == "" {
			t.Error("no version is current")
		}
	})
}

func TestEveryOperationIsFuzzed(t *testing.T) {
	s := secretsmanager.New(secretsmanager.Options{Records: record.Guard(&record.Memory{}, nil)})
	for name, body := range operations {
		if a := s.Do(t.Context(), access.Local("me"), name, []byte(body)); a.Code == "UnknownOperationException" || strings.Contains(string(a.Body), "Serialization") {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
}

// BenchmarkGetSecretValue is a whole request in memory, except for HTTP itself:
// the signature, the JSON, the permissions and the audit entry.
func BenchmarkGetSecretValue(b *testing.B) {
	e := start(b, secretsmanager.Options{})
	e.create("prod/app", `{"username":"app","password":"hush"}`)
	body := `{"SecretId":"prod/app"}`
	r := signedRequest(b, e, body)
	b.ReportAllocs()
	for b.Loop() {
		r.Body = newBody(body)
		w := httptest.NewRecorder()
		e.server.ServeHTTP(w, r)
		if w.Code != 200 {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

// BenchmarkGetSecretValueOnSQLite is the same with the real store and
// concurrent requests.
func BenchmarkGetSecretValueOnSQLite(b *testing.B) {
	db, err := store.Open(b.Context(), store.Options{Dir: b.TempDir() + "/data"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	e := (&env{t: b, clock: newClock()}).serve(secretsmanager.Options{}, db.Records())
	e.create("prod/app", `{"username":"app","password":"hush"}`)
	body := `{"SecretId":"prod/app"}`
	r := signedRequest(b, e, body)
	b.ReportAllocs()
	b.SetParallelism(50)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mine := r.Clone(b.Context())
			mine.Body = newBody(body)
			w := httptest.NewRecorder()
			e.server.ServeHTTP(w, mine)
			if w.Code != 200 {
				b.Errorf("%d %s", w.Code, w.Body)
			}
		}
	})
}

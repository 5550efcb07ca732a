package function

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// TestEventShapes reads every recorded event: those whose names begin with
// "refused" must be refused.
func TestEventShapes(t *testing.T) {
	want := map[string]event{
		"rotation": rotationEvent{SecretID: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/cms-a1b2c3",
			ClientRequestToken: "5d8b1c1e-2f57-4f2d-8a3e-0a6b7f6f9b11", Step: "createSecret"},
		"rotation_token": rotationEvent{SecretID: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/cms-a1b2c3",
			ClientRequestToken: "5d8b1c1e-2f57-4f2d-8a3e-0a6b7f6f9b11", Step: "finishSecret", RotationToken: "4c2d7a1b-9f60-4a55-8f6c-3f1e2d4b5a69"},
		"schedule_rule":      sweepEvent{ID: "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", Time: time.Date(2026, 10, 8, 16, 53, 6, 0, time.UTC)},
		"schedule_scheduler": sweepEvent{ID: "37666ae6-48cf-4285-b4c6-a3320b38824a", Time: time.Date(2026, 6, 13, 12, 30, 0, 0, time.UTC)},
		"create":             lifecycleEvent{Action: "create", Username: "cms"},
		"deactivate":         lifecycleEvent{Action: "deactivate", Username: "cms", Secret: "prod/cms"},
		"delete":             lifecycleEvent{Action: "delete", Username: "cms"},
		"service_account":    serviceAccountEvent{Username: "cms", Project: "42"},
		"run":                sweepEvent{Action: "run"},
		"run_one":            sweepEvent{Action: "run", Secret: "cms"},
		"empty":              emptyEvent{},
	}
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) < len(want) {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseEvent(raw)
			if strings.HasPrefix(name, "refused") {
				checkRefused(t, raw, got, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[name], got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func checkRefused(t *testing.T, raw []byte, got event, err error) {
	t.Helper()
	if _, ok := errors.AsType[*eventError](err); !ok {
		t.Fatalf("%v, %v: want it refused", got, err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a value is in the error: %v", err)
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) == nil {
		for key := range fields {
			if !strings.Contains(err.Error(), key) {
				t.Errorf("the error does not name the key %s: %v", key, err)
			}
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	files, _ := filepath.Glob("testdata/events/*.json")
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil {
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := parseEvent(raw)
		if (e == nil) == (err == nil) {
			t.Fatalf("%v, %v: neither or both", e, err)
		}
	})
}

func TestIntentsFitIntoATag(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	intents := []rotation.Intent{
		{Version: "rota-6b29fc40-ca47-4067-b31d-00dd010662da", At: at, Until: at.Add(30 * time.Second), Known: []string{"AKIAIOSFODNN7EXAMPLE"}},
		{Version: "5d8b1c1e-2f57-4f2d-8a3e-0a6b7f6f9b11", At: at.Add(time.Hour), Until: at.Add(time.Hour + 30*time.Second)},
	}
	text, err := encodeIntents(intents)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeIntents(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(intents, got); diff != "" {
		t.Error(diff)
	}
	if _, err := encodeIntents(append(intents, intents[0], intents[0])); rota.ClassOf(err) != rota.ClassStop || len(text) > maxTagValue {
		t.Errorf("more than a tag takes: %v", err)
	}
	for _, bad := range []string{"x", "a:b:c:d", "v:1:2", "@"} {
		if _, err := decodeIntents(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		want string // in the error; "" for none
	}{
		{"nothing", nil, ""},
		{"one user", map[string]string{"IAM_USER_NAME": "cms", "SECRET_NAME": "prod/cms"}, ""},
		{"two configurations", map[string]string{"ROTA_CONFIG": "rota.yaml", "ROTA_CONFIG_YAML": "secrets: []"}, "both set"},
		{"a user and a configuration", map[string]string{"IAM_USER_NAME": "cms", "ROTA_CONFIG": "rota.yaml"}, "one of them"},
		{"a secret without a user", map[string]string{"SECRET_NAME": "prod/cms"}, "IAM_USER_NAME"},
		{"half a pair of fields", map[string]string{"ROTA_ACCESS_KEY_FIELD": "id"}, "must be set together"},
		{"a bad span", map[string]string{"ROTA_UNUSED_FOR": "soon"}, "ROTA_UNUSED_FOR"},
		{"a bad truth", map[string]string{"ROTA_ADOPT": "perhaps"}, "ROTA_ADOPT"},
		{"a bad length", map[string]string{"PASSWORD_LENGTH": "3"}, "PASSWORD_LENGTH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readSettings(func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(hint.Text(err), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A grace period shorter than a week shortens what is asked of the previous
// key's use, as in rota.yaml: otherwise nothing could happen on the day.
func TestUnusedForFollowsTheGracePeriod(t *testing.T) {
	for text, want := range map[string]string{"": "7d", "0": "1d", "1": "1d", "3": "3d", "7": "7d", "90": "7d"} {
		e := lifecycleEvent{}
		if text != "" {
			if err := json.Unmarshal([]byte(text), &e.AfterDays); err != nil {
				t.Fatal(err)
			}
		}
		if got := rota.FormatDuration((settings{}).eventPolicy(e.AfterDays).UnusedFor); got != want {
			t.Errorf("after_days %q: unused for %s, want %s", text, got, want)
		}
		if got := (settings{unusedFor: 2 * rota.Day}).eventPolicy(e.AfterDays).UnusedFor; got != 2*rota.Day {
			t.Errorf("after_days %q with ROTA_UNUSED_FOR=2d: %s", text, got)
		}
	}
}

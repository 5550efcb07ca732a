package http_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rota-dev/rota/app"
)

// deploys is a stand-in for the made-up service of the first example.
func deploys(t testing.TB) *standIn {
	return newStandIn(t, func(s *standIn, mux *http.ServeMux) {
		mux.HandleFunc("PUT /apps/shop/settings/GRAFANA_TOKEN", func(w http.ResponseWriter, r *http.Request) {
			var v struct{ Value string }
			_ = json.NewDecoder(r.Body).Decode(&v)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.last["token"] = v.Value
			answer(w, 204, nil)
		})
		mux.HandleFunc("POST /apps/shop/deploys", func(w http.ResponseWriter, r *http.Request) {
			var v struct{ Reason string }
			_ = json.NewDecoder(r.Body).Decode(&v)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.last["running"] = v.Reason
			answer(w, 202, nil)
		})
		mux.HandleFunc("GET /apps/shop", func(w http.ResponseWriter, _ *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			answer(w, 200, map[string]string{"running": s.last["running"]})
		})
	})
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(connections:.*?)```")

// The examples on the provider's page rotate as they stand there, against stand-ins
// from the vendors' documentation. Only the addresses and the folder are the test's.
func TestTheExamplesRotate(t *testing.T) {
	page, err := os.ReadFile("../../docs/providers/http.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := yamlBlock.FindAllStringSubmatch(string(page), -1)
	if len(examples) != 3 {
		t.Fatalf("the page has %d examples", len(examples))
	}
	for i, test := range []struct {
		vendor, url, path, test string
		start                   func(testing.TB) *standIn
		reports                 bool
	}{
		{"Grafana", "https://grafana.example.com/api", "/api", "/api/org", grafana, true},
		{"Cloudflare", "https://api.cloudflare.com/client/v4", "/client/v4", "/client/v4/user/tokens/verify", cloudflare, true},
		{"SendGrid", "https://api.sendgrid.com/v3", "/v3", "/v3/scopes", sendgrid, false},
	} {
		t.Run(test.vendor, func(t *testing.T) {
			s, other, dir := test.start(t), deploys(t), t.TempDir()
			at := func(url string) string { return url + "\n      allow_private: true" }
			text := strings.NewReplacer(test.url+"\n", at(s.URL+test.path)+"\n", "https://deploys.example.com\n", at(other.URL)+"\n", "/run/secrets", dir).Replace(examples[i][1])
			config := filepath.Join(dir, "rota.yaml")
			for name, content := range map[string]string{"rota.yaml": text, "grafana": adminToken, "cloudflare": adminToken, "sendgrid": adminToken, "deploys": "deploy-canary"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			rota := func(args ...string) (string, int) {
				var out bytes.Buffer
				code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(""), &out, &out)
				for _, k := range s.all() {
					if strings.Contains(out.String(), k.value) || strings.Contains(out.String(), adminToken) {
						t.Errorf("rota %s prints a value:\n%s", strings.Join(args, " "), out.String())
					}
				}
				return out.String(), code
			}
			must := func(args ...string) {
				t.Helper()
				if out, code := rota(args...); code != 0 {
					t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out)
				}
			}
			name := regexp.MustCompile(`name: (prod/\S+)`).FindStringSubmatch(text)[1]
			works := func(k made) bool {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+test.test, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+k.value)
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				return resp.StatusCode == http.StatusOK
			}
			must("validate")
			must("check")
			must("run")
			must("rotate", name, "--yes")
			keys := s.all()
			if len(keys) != 2 || !works(keys[0]) || !works(keys[1]) || !strings.HasPrefix(keys[1].name, "rota-") && !strings.HasPrefix(keys[1].name, "dns rota-") {
				t.Fatalf("after the second rotation there are %d keys, named %q", len(keys), keys[len(keys)-1].name)
			}
			// Where the API reports use, a key that was just used isn't deleted.
			out, code := rota("delete", name, "--yes")
			if left := s.all(); test.reports && (code == 0 || len(left) != 2) || !test.reports && (code != 0 || len(left) != 1 || left[0].value != keys[1].value) {
				t.Errorf("delete: code %d, %d keys\n%s", code, len(left), out)
			}
			if test.vendor == "Grafana" && (other.last["token"] != keys[1].value || other.last["running"] == "") {
				t.Error("the token wasn't delivered, or the app not restarted")
			}
			for _, url := range s.Requests() {
				for _, k := range keys {
					if strings.Contains(url, k.value) {
						t.Error("a value is in a URL")
					}
				}
			}
		})
	}
}

package daemon_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store"
)

func TestARoleIsKeptFreshUnattendedAndReadWithAWSsOwnClient(t *testing.T) {
	for name, database := range map[string]func(t *testing.T) string{
		"SQLite":     func(*testing.T) string { return "" },
		"PostgreSQL": func(t *testing.T) string { return server.Get(t).NewDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			role := "fresh_" + strings.ToLower(name)
			w := start(t, database(t), roleConfig(t, role, "2s"))
			// A person must start the first rotation: someone may be using the
			// old credential.
			var done api.WorkDoc
			w.do(http.MethodPost, "/v1/secrets/app%2F"+role+"/rotate", &done)
			if len(done.Secrets) != 1 || done.Secrets[0].State != api.WorkDone {
				t.Fatalf("rotate: %+v", done)
			}
			seen := map[string]bool{}
			eventually(t, "three rotations by itself", func() bool {
				version, password, err := w.password("app/" + role)
				if err != nil {
					t.Fatal(err)
				}
				if err := login(t.Context(), t, role, password); err != nil {
					return false // a role has one password: this is the gap between set and promote
				}
				seen[version] = true
				return len(seen) >= 4
			})
		})
	}
}

func TestRotateSecretStartsTheConfiguredRotationOncePerToken(t *testing.T) {
	w := start(t, "", roleConfig(t, "asked", "30d"))
	w.do(http.MethodPost, "/v1/secrets/app%2Fasked/rotate", nil)
	versions := func() int {
		created := 0
		for _, r := range must(w.db.Audit().Read(t.Context(), store.AuditQuery{Secret: "app/asked", Limit: 1000})) {
			if r.Entry.Step == "promote" && r.Entry.Outcome == "ok" {
				created++
			}
		}
		return created
	}
	token := aws.String("0b3f7c2e-5a51-4e0b-9a53-2f1f6f1c7d10")
	for range 3 {
		if out := w.rotate("app/asked", *token); aws.ToString(out.VersionId) != *token {
			t.Errorf("the answer names version %q", aws.ToString(out.VersionId))
		}
	}
	eventually(t, "it is rotated", func() bool { return versions() == 2 })
	w.do(http.MethodPost, "/v1/secrets/app%2Fasked/deliver", nil) // waits for the lease, so that everything is finished
	if out := w.rotate("app/asked", *token); *out.Name != "app/asked" {
		t.Errorf("asked once more, the answer is %+v", out)
	}
	if n := versions(); n != 2 {
		t.Errorf("one request made %d rotations", n-1)
	}
	if version, _, err := w.password("app/asked"); err != nil || version != *token {
		t.Errorf("version %s, %v, want the token", version, err)
	}
}

// rotate requests a rotation with AWS's own client.
func (w *world) rotate(name, token string) *secretsmanager.RotateSecretOutput {
	w.t.Helper()
	out, err := w.secretsManager().RotateSecret(w.t.Context(), &secretsmanager.RotateSecretInput{SecretId: &name, ClientRequestToken: &token})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestRotateSecretIsAnsweredOnceItIsDurable(t *testing.T) {
	w, _, healthy := startSlow(t, "durable")
	healthy(true)
	w.do(http.MethodPost, "/v1/secrets/app%2Fdurable_b/rotate", nil)
	healthy(false)
	defer healthy(true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.do(http.MethodPost, "/v1/secrets/app%2Fdurable_a/rotate", nil)
	}()
	eventually(t, "the system's only place is taken", func() bool { return w.scrape()["rota_turns_in_hand"] == 1 })
	token := "7f3b7c2e-5a51-4e0b-9a53-2f1f6f1c7d10"
	w.rotate("app/durable_b", token)
	if p := must(w.db.Journal().Load(t.Context(), "app/durable_b")).Progress; p.Requested == nil || p.Requested.Version != token || !p.NextAt.IsZero() {
		t.Errorf("the next process finds that %+v is asked for, due at %s", p.Requested, p.NextAt)
	}
	healthy(true)
	<-ended
	eventually(t, "it is rotated", func() bool {
		version, _, err := w.password("app/durable_b")
		return err == nil && version == token
	})
}

func TestAnEditTakesEffectImmediatelyAndAnInvalidOneChangesNothing(t *testing.T) {
	text := roleConfig(t, "edited", "30d")
	w := start(t, "", text)
	w.do(http.MethodPost, "/v1/secrets/app%2Fedited/rotate", nil)
	file := filepath.Join(t.TempDir(), "edited.json")
	w.configure(strings.Replace(text, "policy:", "targts:", 1))
	w.configure(text + fmt.Sprintf("    targets: [{name: app, file: {path: %q, format: json}}]\n", file))
	eventually(t, "the new target gets a copy", func() bool {
		_, err := os.Stat(file)
		return err == nil
	})
}

func TestAuthenticationFollowsTheFile(t *testing.T) {
	text := roleConfig(t, "limited", "30d")
	w := start(t, "", text)
	limited := func() bool { // one of three in a row is refused
		n := 0
		for range 3 {
			if w.do(http.MethodGet, "/v1/secrets", nil).StatusCode == http.StatusTooManyRequests {
				n++
			}
		}
		return n > 0
	}
	if limited() {
		t.Fatal("three requests are too many already")
	}
	w.configure(text + "access: {limits: {principal: {per_second: 1, burst: 1}}}\n")
	eventually(t, "the new limit counts", limited)
	w.configure(text)
	eventually(t, "the old limit counts again", func() bool { return !limited() })
}

func TestWatchingAndStreaming(t *testing.T) {
	w := start(t, "", roleConfig(t, "watched", "30d"))
	w.do(http.MethodPost, "/v1/secrets/app%2Fwatched/rotate", nil)
	var now struct{ Version string }
	w.do(http.MethodGet, "/v1/secrets/app%2Fwatched/changes", &now)
	if a := w.do(http.MethodGet, "/v1/secrets/app%2Fwatched/changes?timeout=0&version="+now.Version, nil); a.StatusCode != http.StatusNotModified {
		t.Errorf("without a change: %s", a.Status)
	}

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/v1/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.key.Token())
	stream, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	lines := bufio.NewScanner(stream.Body)
	for lines.Scan() && lines.Text() != "" { // the first heartbeat: it listens
	}

	changed := make(chan string, 1)
	go func() {
		var next struct{ Version string }
		w.do(http.MethodGet, "/v1/secrets/app%2Fwatched/changes?timeout=60&version="+now.Version, &next)
		changed <- next.Version
	}()
	w.do(http.MethodPost, "/v1/secrets/app%2Fwatched/rotate", nil)
	select {
	case v := <-changed:
		if v == now.Version || v == "" {
			t.Errorf("woken for version %q", v)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was woken")
	}
	promoted := false
	for !promoted && lines.Scan() {
		promoted = strings.Contains(lines.Text(), `"step":"promote"`) && strings.Contains(lines.Text(), `"outcome":"ok"`)
	}
	if !promoted {
		t.Errorf("the stream did not tell of the promotion: %v", lines.Err())
	}
}

func TestPausedAndFrozenSecretsWait(t *testing.T) {
	text := roleConfig(t, "paused", "2s")
	w := start(t, "", text)
	w.do(http.MethodPost, "/v1/secrets/app%2Fpaused/pause", nil)
	w.do(http.MethodPost, "/v1/secrets/app%2Fpaused/rotate", nil) // a person may
	first, _, err := w.password("app/paused")
	if err != nil {
		t.Fatal(err)
	}
	var status api.StatusDoc
	w.do(http.MethodPost, "/v1/freeze", nil)
	w.do(http.MethodGet, "/v1/secrets", &status)
	if !strings.HasPrefix(status.Frozen, "by admin since ") {
		t.Errorf("frozen: %q", status.Frozen)
	}
	w.do(http.MethodPost, "/v1/secrets/app%2Fpaused/resume", nil)
	if again, _, err := w.password("app/paused"); err != nil || again != first {
		t.Fatalf("while frozen it was rotated: %v", err)
	}
	w.do(http.MethodPost, "/v1/thaw", nil)
	eventually(t, "it goes on after the thaw", func() bool {
		version, _, err := w.password("app/paused")
		return err == nil && version != first
	})
}

func TestPermissions(t *testing.T) {
	w := start(t, "", roleConfig(t, "denied", "30d"))
	admin := access.NewAdministration(w.db.Directory(), w.db.Audit(), nil)
	root := access.Local("test")
	if err := admin.Create(t.Context(), root, "app", access.Rule{Action: access.List, Pattern: "app/*"}); err != nil {
		t.Fatal(err)
	}
	key, err := admin.CreateKey(t.Context(), root, "app", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	w.do(http.MethodPost, "/v1/secrets/app%2Fdenied/rotate", nil)
	w.key = key
	for path, want := range map[string]int{
		"GET /v1/secrets":                      200,
		"GET /v1/secrets/app%2Fdenied":         200,
		"GET /v1/secrets/other":                403,
		"GET /v1/secrets/app%2Fdenied/value":   403,
		"POST /v1/secrets/app%2Fdenied/rotate": 403,
		"POST /v1/freeze":                      403,
		"GET /v1/audit":                        403,
		"GET /v1/access/principals":            403,
		"GET /v1/nothing":                      404,
	} {
		method, path, _ := strings.Cut(path, " ")
		if a := w.do(method, path, nil); a.StatusCode != want {
			t.Errorf("%s %s: %s, want %d", method, path, a.Status, want)
		}
	}
	if _, _, err := w.password("app/denied"); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("the value through AWS's client: %v", err)
	}
	denied := 0
	records, err := w.db.Audit().Read(t.Context(), store.AuditQuery{Newest: true, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Entry.Outcome == "denied" && r.Entry.Actor == "app" && r.Entry.From == "127.0.0.1" {
			denied++
		}
	}
	if denied < 7 {
		t.Errorf("%d denied tries are in the audit, want 7", denied)
	}
}

func TestTheQueuesPageIsForAdministrators(t *testing.T) {
	w := start(t, server.Get(t).NewDatabase(t), roleConfig(t, "queued", "30d"))
	for name, c := range map[string]struct {
		user, password string
		want           int
	}{
		"nobody":        {"", "", http.StatusUnauthorized},
		"a guess":       {w.key.Key.ID, "wrong", http.StatusUnauthorized},
		"administrator": {w.key.Key.ID, w.key.Secret.Reveal(), http.StatusOK},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/admin/queue/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Sec-Fetch-Site", "cross-site") // a link from another site
		if c.user != "" {
			r.SetBasicAuth(c.user, c.password)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(a.Body)
		_ = a.Body.Close()
		if a.StatusCode != c.want || c.want == http.StatusOK && !strings.Contains(string(body), "<html") {
			t.Errorf("%s: %s: %.200s", name, a.Status, body)
		}
		if a.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(a.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: another site's page may show it: %v", name, a.Header)
		}
	}
	// A page on another site makes the browser send the key along.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/admin/queue/api/jobs/delete", strings.NewReader(`{"ids":["1"]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(w.key.Key.ID, w.key.Secret.Reveal())
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Body.Close()
	if a.StatusCode != http.StatusForbidden {
		t.Errorf("a change from somebody else's page: %s", a.Status)
	}
}

func TestAPlaceThatDoesNotAnswerLeavesTheOthersTime(t *testing.T) {
	got := make(chan struct{}, 100)
	end := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	t.Cleanup(silent.Close)
	done := sync.OnceFunc(func() { close(end) })
	t.Cleanup(done)
	answers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		got <- struct{}{}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(answers.Close)
	start(t, "", roleConfig(t, "silent", "30d")+fmt.Sprintf("server: {audit: {anchors: [{webhook: {url: %s}}, {webhook: {url: %s}}]}}\n", silent.URL, answers.URL))
	select {
	case <-got:
	case <-time.After(15 * time.Second):
		t.Error("the second place got no head")
	}
	done() // so that the daemon's end needn't wait
}

func TestAnchoredHeadsAreVerified(t *testing.T) {
	heads := filepath.Join(t.TempDir(), "heads")
	w := start(t, "", roleConfig(t, "anchored", "30d")+"server: {audit: {anchors: [{file: "+heads+"}]}}\n")
	eventually(t, "a head is anchored", func() bool { _, err := os.Stat(heads); return err == nil })
	var doc api.VerifyDoc
	if a := w.do(http.MethodGet, "/v1/audit/verification", &doc); a.StatusCode != http.StatusOK || doc.Anchored == 0 || len(doc.Places) != 1 {
		t.Errorf("%s: %+v", a.Status, doc)
	}
	forged := strings.NewReplacer(`"seq":`, `"seq":1`).Replace(string(must(os.ReadFile(heads))))
	if err := os.WriteFile(heads, []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := w.do(http.MethodGet, "/v1/audit/verification", nil); a.StatusCode != http.StatusInternalServerError {
		t.Errorf("a forged head: %s", a.Status)
	}
}

package daemon_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota/internal/daemon"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/store"
)

func TestAtShutdownRequestsAreAnsweredAndStreamsEnd(t *testing.T) {
	w, stop := startStoppable(t, "", roleConfig(t, "ending", "30d")+`    reload: [{name: slow, command: {run: [/bin/sh, -c, "sleep 2"]}}]
`)
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
	var done api.WorkDoc
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		w.do(http.MethodPost, "/v1/secrets/app%2Fending/rotate", &done)
	}()
	for lines.Scan() && !strings.Contains(lines.Text(), `"step":"reload"`) { // it's in flight
	}
	begin := time.Now()
	go stop()
	for lines.Scan() { // until the stream ends
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("the stream went on for %s", took)
	}
	<-answered
	if len(done.Secrets) != 1 || done.Secrets[0].State != api.WorkDone {
		t.Errorf("the request in hand was answered with %+v", done)
	}
}

func TestReadinessAndShutdown(t *testing.T) {
	w := start(t, "", roleConfig(t, "ready", "30d"))
	eventually(t, "ready", func() bool { return w.do(http.MethodGet, "/readyz", nil).StatusCode == http.StatusOK })
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	if a := w.do(http.MethodGet, "/readyz", nil); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without its store it is %s", a.Status)
	}
	if a := w.do(http.MethodGet, "/healthz", nil); a.StatusCode != http.StatusOK {
		t.Errorf("alive, but %s", a.Status)
	}
}

// startSlow runs a daemon with the secrets app/NAME_a and app/NAME_b, one at a
// time on one system, whose consumers pick them up while healthy(true) holds.
// The schedule has looked at both and waits for someone to request the first.
func startSlow(t *testing.T, name string) (w *world, stop func(), healthy func(bool)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "go on")
	text := roleConfig(t, name+"_a", "30d")
	server.Get(t).Exec(t, "CREATE ROLE "+name+"_b LOGIN PASSWORD 'first'")
	reload := fmt.Sprintf("    reload: [{name: slow, command: {run: [/bin/sh, -c, \"while [ ! -e '%s' ]; do sleep 0.05; done\"]}}]\n", file)
	_, first, _ := strings.Cut(text, "secrets:\n")
	text += reload + strings.ReplaceAll(first, name+"_a", name+"_b") + reload
	w, stop = startStoppable(t, "", text, func(o *daemon.Options) { o.Limits = engine.Limits{PerSystem: 1} })
	eventually(t, "the schedule has looked at both", func() bool {
		all := must(w.db.Overview().Statuses(t.Context()))
		return len(all) == 2 && !slices.ContainsFunc(all, func(s store.SecretStatus) bool { return s.Status.LookedAt.IsZero() || s.Holder != "" })
	})
	return w, stop, func(yes bool) {
		err := os.WriteFile(file, nil, 0o600)
		if !yes {
			err = os.Remove(file)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// Two concurrent requests share the slots of one system. At the end, the one in
// flight is finished and the other never starts.
func TestRequestsRespectLimitsAndShutdown(t *testing.T) {
	w, stop, healthy := startSlow(t, "limit")
	answers := make(chan api.WorkSecretDoc, 2)
	for _, name := range []string{"a", "b"} {
		go func() {
			var done api.WorkDoc
			w.do(http.MethodPost, "/v1/secrets/app%2Flimit_"+name+"/rotate", &done)
			answers <- done.Secrets[0]
		}()
	}
	eventually(t, "one is in hand and one waits for its place", func() bool {
		now := w.scrape()
		reloads := slices.ContainsFunc(must(w.db.Audit().Read(t.Context(), store.AuditQuery{Limit: 1000})), func(r store.AuditRecord) bool { return r.Entry.Step == "reload" })
		return reloads && now["rota_turns_in_hand"] == 1 && now["rota_turns_waiting"] == 1
	})
	go stop()
	if waited := <-answers; waited.State != api.WorkSkipped || !strings.Contains(waited.Error, "stopping") {
		t.Errorf("the request that waited was answered with %+v", waited)
	}
	healthy(true)
	if inHand := <-answers; inHand.State != api.WorkDone {
		t.Errorf("the request in hand was answered with %+v", inHand)
	}
}

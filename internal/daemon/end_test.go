package daemon_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"rota/internal/service"
)

func TestAtTheEndRequestsAreAnsweredAndStreamsEnd(t *testing.T) {
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
	var done service.WorkDoc
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		w.do(http.MethodPost, "/v1/secrets/app%2Fending/rotate", &done)
	}()
	for lines.Scan() && !strings.Contains(lines.Text(), `"step":"reload"`) { // it is under way
	}
	begin := time.Now()
	go stop()
	for lines.Scan() { // until the stream ends
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("the stream went on for %s", took)
	}
	<-answered
	if len(done.Secrets) != 1 || done.Secrets[0].State != service.WorkDone {
		t.Errorf("the request in hand was answered with %+v", done)
	}
}

func TestReadyAndTheEnd(t *testing.T) {
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

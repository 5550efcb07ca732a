package daemon_test

import (
	"bufio"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"
)

// TestAStreamEndsSoonAfterItsKey disables the key of an open stream.
func TestAStreamEndsSoonAfterItsKey(t *testing.T) {
	w := start(t, "", "secrets: []\n")
	if status, answer := w.send(http.MethodPut, "/v1/access/principals/watcher", `{"rules":["audit:*"]}`); status != http.StatusOK {
		t.Fatal(answer)
	}
	var key api.KeyDoc
	w.do(http.MethodPost, "/v1/access/principals/watcher/keys", &key)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key.Token)
	stream, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	lines := bufio.NewScanner(stream.Body)
	if !lines.Scan() {
		t.Fatalf("%s: %v", stream.Status, lines.Err())
	}
	w.do(http.MethodPost, "/v1/access/keys/"+key.Key.ID+"/disable", nil)
	for lines.Scan() {
	}
	if lines.Err() != nil {
		t.Errorf("it didn't end by itself: %v", lines.Err())
	}
}

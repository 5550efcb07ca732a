//go:build !lambda

package chat_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/chat"
)

var event = rota.Event{ID: "e1", Kind: rota.EventLate, Secret: "prod/orders", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Reason: "rotate is due since yesterday"}

// elsewhere sends every request to a server of the test.
type elsewhere struct{ host string }

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", e.host
	return http.DefaultTransport.RoundTrip(r)
}

// Each service gets the message, and none of their tokens gets into an error.
// What the services themselves make of it can't be tried here.
func TestServices(t *testing.T) {
	for name, url := range map[string]string{
		"slack":      "slack://hook:TAAAAAAAA-BBBBBBBBB-hunter2hunter2hunter2xxx@webhook",
		"discord":    "discord://hunter2token@123456789012345678",
		"mattermost": "mattermost://rota@chat.example.org/hunter2token/town-square",
		"generic":    "generic://hooks.example.org/hunter2token?template=json",
		"telegram":   "telegram://123456789:hunter2hunter2hunter2hunter2hunter2@telegram?chats=@ops",
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 8)
			status := http.StatusOK
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got <- string(body)
				w.WriteHeader(status)
				if status == http.StatusOK {
					_, _ = io.WriteString(w, map[string]string{"slack": "ok", "telegram": `{"ok":true,"result":{"message_id":1}}`}[name])
				}
			}))
			defer server.Close()
			n, err := chat.New(chat.Config{
				Name: "ops", URL: url, Timeout: time.Second, Client: &http.Client{Transport: elsewhere{strings.TrimPrefix(server.URL, "http://")}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Notify(t.Context(), event); err != nil && name != "discord" { // which answers 204 only
				t.Fatal(err)
			}
			if body := <-got; !strings.Contains(body, "rotate is due since yesterday") {
				t.Errorf("it got %s", body)
			}
			status = http.StatusInternalServerError
			if err := n.Notify(t.Context(), event); err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("an answer of 500: %v", err)
			}
			server.Close()
			if err := n.Notify(t.Context(), event); err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("without a server: %v", err)
			}
		})
	}
}

func TestURLsThatAreNone(t *testing.T) {
	for _, url := range []string{"", "hunter2", "nothing://hunter2", "slack://hunter2", "hunter2 hunter2://x"} {
		if _, err := chat.New(chat.Config{Name: "ops", URL: url}); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(hint.Text(err), "(try: ") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/webhook"
)

// A receiver takes what Rota signed, and refuses everything else.
func ExampleReceiver() {
	const key = "whsec_MDEyMzQ1Njc4OWFiY2RlZg==" // as in rota.yaml
	receiver, err := webhook.NewReceiver(key)
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(receiver.Handler(func(_ context.Context, m webhook.Message) error {
		fmt.Printf("%s: %s\n", m.Title, m.Event.Reason)
		return nil
	}))
	defer server.Close()

	// Rota does this part.
	event := rota.Event{ID: "e1", Kind: rota.EventHeld, Secret: "prod/orders-db", Reason: "the previous password is still in use"}
	body, _ := json.Marshal(webhook.Message{Schema: webhook.Schema, Event: event, Title: event.Title()})
	send := func(signature []byte) {
		req, _ := http.NewRequest(http.MethodPost, server.URL, bytes.NewReader(body))
		webhook.Sign(req.Header, event.ID, body, time.Now(), signature)
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = answer.Body.Close()
		fmt.Println(answer.Status)
	}
	send([]byte("0123456789abcdef"))
	send([]byte("somebody else's key"))
	// Output:
	// Rota: prod/orders-db held: the previous password is still in use
	// 204 No Content
	// 401 Unauthorized
}

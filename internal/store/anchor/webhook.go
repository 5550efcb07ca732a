package anchor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Webhook posts each head to a URL, as JSON.
type Webhook struct {
	URL   string
	Token string // bearer token; "" for none
	// Client sends the requests. Defaults to http.DefaultClient.
	Client *http.Client
}

var _ Destination = Webhook{}

// Name has only the host of the URL, the rest of which may contain a secret.
func (w Webhook) Name() string {
	u, err := url.Parse(w.URL)
	if err != nil || u.Host == "" {
		return "webhook"
	}
	return "webhook " + u.Host
}

// Put posts a head. Any 2xx response means that it was stored.
func (w Webhook) Put(ctx context.Context, h Head) error {
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("webhook: the URL is invalid")
	}
	r.Header.Set("Content-Type", "application/json")
	if w.Token != "" {
		r.Header.Set("Authorization", "Bearer "+w.Token)
	}
	client := w.Client
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("webhook: unreachable")
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 4<<10))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("webhook: answered %s", answer.Status)
	}
	return nil
}

// Heads always returns [ErrWriteOnly].
func (w Webhook) Heads(context.Context) ([]Head, error) { return nil, ErrWriteOnly }

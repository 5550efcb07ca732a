package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/webhook"
)

const (
	oldKey = "0123456789abcdef"
	newKey = "fedcba9876543210"
)

func message(t *testing.T, title string) []byte {
	t.Helper()
	body, err := json.Marshal(webhook.Message{Schema: webhook.Schema, Event: rota.Event{ID: "e1"}, Title: title})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestAReceiverTakesOnlyWhatRotaSigned(t *testing.T) {
	now := time.Now()
	body := message(t, "signed")
	for name, c := range map[string]struct {
		keys   []string // the receiver's
		key    string   // the sender's
		signed []byte   // defaults to what is sent
		sent   []byte
		at     time.Time
		fails  bool // the handler
		want   int
	}{
		"signed":                         {keys: []string{oldKey}, key: oldKey, sent: body, at: now, want: 204},
		"signed with the new of two":     {keys: []string{oldKey, newKey}, key: newKey, sent: body, at: now, want: 204},
		"signed with a key that is gone": {keys: []string{newKey}, key: oldKey, sent: body, at: now, want: 401},
		"changed on the way":             {keys: []string{oldKey}, key: oldKey, signed: body, sent: message(t, "changed"), at: now, want: 401},
		"recorded and replayed":          {keys: []string{oldKey}, key: oldKey, sent: body, at: now.Add(-webhook.Tolerance - time.Minute), want: 401},
		"from the future":                {keys: []string{oldKey}, key: oldKey, sent: body, at: now.Add(webhook.Tolerance + time.Minute), want: 401},
		"a little late":                  {keys: []string{oldKey}, key: oldKey, sent: body, at: now.Add(-webhook.Tolerance + time.Minute), want: 204},
		"too large":                      {keys: []string{oldKey}, key: oldKey, sent: bytes.Repeat([]byte("x"), 4<<20+1), at: now, want: 413},
		"not JSON":                       {keys: []string{oldKey}, key: oldKey, sent: []byte("hello"), at: now, want: 400},
		"not a message":                  {keys: []string{oldKey}, key: oldKey, sent: []byte(`{"schema": "other"}`), at: now, want: 400},
		"not handled":                    {keys: []string{oldKey}, key: oldKey, sent: body, at: now, fails: true, want: 500},
	} {
		t.Run(name, func(t *testing.T) {
			receiver, err := webhook.NewReceiver(c.keys...)
			if err != nil {
				t.Fatal(err)
			}
			handled := 0
			handler := receiver.Handler(func(_ context.Context, m webhook.Message) error {
				if handled++; m.Event.ID != "e1" || m.Title != "signed" {
					t.Errorf("got %+v", m)
				}
				if c.fails {
					return errors.New("the pager is down")
				}
				return nil
			})
			if c.signed == nil {
				c.signed = c.sent
			}
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(c.sent))
			webhook.Sign(r.Header, "e1", c.signed, c.at, []byte(c.key))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("status %d, want %d", w.Code, c.want)
			}
			if good := c.want == 204 || c.want == 500; (handled == 1) != good {
				t.Errorf("it was handled %d times", handled)
			}
		})
	}
}

func TestAReceiverNeedsGoodKeys(t *testing.T) {
	for name, keys := range map[string][]string{"none": nil, "an empty one": {""}, "a short one": {oldKey, "short"}, "no base64": {"whsec_!"}} {
		if _, err := webhook.NewReceiver(keys...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

package webhook_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rota-dev/rota/webhook"
)

// The vector is the specification's own.
func TestTheSpecificationsExample(t *testing.T) {
	k, err := webhook.ParseKey("whsec_plJ3nmyCDGBKInavdOK15jsl")
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	body := []byte(`{"event_type":"ping","data":{"success":true}}`)
	webhook.Sign(h, "msg_loFOjxBNrRLzqYUf", body, time.Unix(1731705121, 0), k)
	if got, want := h.Get(webhook.HeaderSignature), "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func FuzzVerify(f *testing.F) {
	h := http.Header{}
	now := time.Unix(1_700_000_000, 0)
	webhook.Sign(h, "id", []byte("body"), now, []byte(oldKey))
	f.Add("id", h.Get(webhook.HeaderTimestamp), h.Get(webhook.HeaderSignature), []byte("body"))
	f.Add("id", "x", "v1,", []byte(""))
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		got := http.Header{webhook.HeaderID: {id}, webhook.HeaderTimestamp: {timestamp}, webhook.HeaderSignature: {signature}}
		if webhook.Verify(got, body, now, []byte(oldKey)) == nil && (id != "id" || string(body) != "body") {
			t.Errorf("id %q, %q: a message that nobody signed is taken", id, body)
		}
	})
}

func TestKeysAreTextOrBase64(t *testing.T) {
	if k, err := webhook.ParseKey("whsec_MDEyMzQ1Njc4OWFiY2RlZg=="); err != nil || string(k) != oldKey {
		t.Errorf("got %q, %v", k, err)
	}
	if k, err := webhook.ParseKey(oldKey); err != nil || string(k) != oldKey {
		t.Errorf("got %q, %v", k, err)
	}
}
